"""Where a model runs, in which numerics, and what it does with freed memory."""

import ctypes
import sys
from typing import Any

import torch

from submillion.budget.families import FAMILIES, family_of
from submillion.budget.methods import FAST, MOVING_BASE
from submillion.budget.plan import Plan
from submillion.errors import ConfigError
from submillion.fast.features import can_multiply_int8, has_bf16_products


def choose_device() -> torch.device:
    """Return the first CUDA device where there is one, else the CPU.

    Apple's MPS is not chosen: no figure of this package was measured on it.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16() -> bool:
    """Whether the device has bf16 products of its own, by its features, never by timing it."""
    if choose_device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return has_bf16_products()


def why_slow(plan: Plan) -> str | None:
    """Return what of a plan the fast path does not serve, None where it serves all of it."""
    if plan.method not in FAST:
        return f"method={plan.method!r}"
    if plan.init_lora_weights in MOVING_BASE:
        return f"init_lora_weights={plan.init_lora_weights!r}"
    return None


def why_exact(model_type: str) -> str | None:
    """Return why nothing of a family runs in fast numerics here unless asked to, and what that costs; None where it does."""
    if not family_of(model_type).has_fast_block:
        *served, last = sorted(name for name, family in FAMILIES.items() if family.has_fast_block)
        return (
            f"the family {model_type!r} runs in exact numerics, by plain transformers and PEFT: the fast path serves "
            f"{', '.join(served)} and {last}, and is more than twice as fast where there is bf16"
        )
    if not has_bf16():
        device = "GPU" if choose_device().type == "cuda" else "processor"
        return (
            f"this {device} has no bf16 products: all runs in exact numerics, about half as fast as with them"
        )
    return None


def choose_numerics(
    asked: str | None,
    base_dropout: float | None,
    model_type: str,
    *,
    fp16: bool = False,
    slow: str | None = None,
) -> str:
    """Return the numerics that a run trains in.

    Args:
        asked: ``exact``, ``fast``, ``int8``, or None for ``fast`` where it serves, else ``exact``.
        base_dropout: Dropout inside the frozen encoder; None: what its config says.
        model_type: The encoder's family.
        fp16: Whether mixed precision is asked for, which casts by itself.
        slow: What of the plan the fast path does not serve; see `why_slow`.

    Raises:
        ConfigError: If other numerics than exact are asked for with dropout in the encoder, with fp16, for a
            family without fast blocks, a method that the fast path does not serve, or int8 on a machine without fast
            int8 products.
    """
    has_fast_block = family_of(model_type).has_fast_block
    if slow is not None:
        if asked in (None, "exact"):
            return "exact"
        raise ConfigError(
            f"numerics={asked!r} is not there for {slow}: the fast path serves {' and '.join(FAST)}; use exact"
        )
    if asked is None:
        return "fast" if has_fast_block and base_dropout == 0 and not fp16 and has_bf16() else "exact"
    if asked != "exact" and fp16:
        raise ConfigError(
            f"numerics={asked!r} needs no fp16, which is for exact numerics: leave one of the two out"
        )
    if asked != "exact" and base_dropout:
        raise ConfigError(
            f"numerics={asked!r} has no dropout inside the frozen encoder, and base_dropout={base_dropout} asks for it: "
            "set base_dropout to 0, or numerics to exact"
        )
    if asked != "exact" and not has_fast_block:
        raise ConfigError(f"numerics={asked!r} is not there for the family {model_type!r}: use exact")
    if asked == "int8" and not (choose_device().type == "cpu" and can_multiply_int8()):
        raise ConfigError("numerics='int8' needs a processor with VNNI (and no GPU): use fast or exact")
    return asked


_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed, for the rest of the process; return whether it was told.

    Otherwise each large tensor of a step is mapped anew and its pages are cleared by the kernel one by one: in
    attention's backward pass that takes several times as long as the arithmetic.
    """
    give_back_freed_memory()  # what loading left behind
    libc = _glibc()
    if libc is None:
        return False
    mallopt = libc.mallopt
    # Without the first the other two would make it worse: glibc then stops to adapt the threshold by itself.
    most = 32 * 2**20  # what an older glibc takes
    if not (mallopt(_M_MMAP_THRESHOLD, 2**31 - 1) or mallopt(_M_MMAP_THRESHOLD, most)):
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)) and bool(mallopt(_M_TOP_PAD, 64 * 2**20))


def give_back_freed_memory() -> None:
    """Give to the system what is freed so far (glibc): for what comes next and has no use for pieces of its sizes."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> Any:
    """Return the C library where it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.mallopt and libc.malloc_trim else None
    except (OSError, AttributeError):  # another C library, such as musl
        return None
