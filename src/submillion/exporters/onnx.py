"""Format `onnx`: one graph for ONNX Runtime, by torch's own exporter; int8 by ONNX Runtime's own quantiser."""

import tempfile
from pathlib import Path
from typing import Any

from submillion.exporters.lines import ONNX
from submillion.exporters.merge import traced
from submillion.exporters.quiet import quiet_exporters
from submillion.exporters.source import Source

LARGEST_FILE = 1_900_000_000
"""Bytes of weights above which they stand beside the graph: protobuf ends at 2 GB."""


def write_onnx(source: Source, folder: Path, *, int8: bool) -> None:
    """Write `model.onnx`, and the config with the label names, into ``folder``."""
    if not int8:
        save_graph(source, folder / ONNX)
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        save_graph(source, Path(beside) / ONNX, for_int8=True)
        quantize(Path(beside) / ONNX, folder / ONNX)


def save_graph(source: Source, path: Path, *, for_int8: bool = False) -> None:
    """Write the fp32 graph; see `traced`."""
    import torch

    with quiet_exporters():
        program = traced(source, for_int8=for_int8)
        graph: Any = torch.onnx.export(
            program,
            (),
            kwargs=program.example_inputs[1],
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamo=True,
            verbose=False,
        )
        graph.save(str(path), external_data=_size(program) > LARGEST_FILE)


def quantize(path: Path, destination: Path) -> None:
    """Write a graph with int8 weights, one scale a column, and activations quantised as they come.

    Weights take 7 of the 8 bits: AVX2's products of bytes add two of them in 16 bits, and would overflow with more.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(path)
    del model.graph.value_info[:]  # shapes of weights that the quantiser turns round
    is_large = sum(len(weight.raw_data) for weight in model.graph.initializer) > LARGEST_FILE
    with quiet_exporters():
        quantize_dynamic(
            path if is_large else model,
            destination,
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            use_external_data_format=is_large,
        )


def _size(program: Any) -> int:
    return sum(value.numel() * value.element_size() for value in program.state_dict.values())
