"""What the processor can do, by its features, never by timing it."""

import torch


def has_cpu_feature(*names: str) -> bool:
    """Whether the processor has one of these features, as ``torch.cpu.get_capabilities`` names them."""
    told = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(told.get(name) for name in names)


def has_bf16_products() -> bool:
    """Whether the processor multiplies bf16 itself."""
    return has_cpu_feature("avx512_bf16", "amx_bf16", "bf16")


def can_pack() -> bool:
    """Whether this torch packs constant bf16 matrices for oneDNN, and oneDNN takes bf16 here."""
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def can_multiply_int8() -> bool:
    """Whether this torch and this processor have fast int8 products: oneDNN, with VNNI."""
    return hasattr(torch.ops.onednn, "qlinear_pointwise") and has_cpu_feature(
        "avx512_vnni", "avx_vnni", "amx_int8"
    )
