"""Ways to a faster graph on a CPU, and what the time of the export in int8 by OpenVINO goes into.

    python benchmarks/export_ways.py              some minutes

One adapter (all-MiniLM-L6-v2, first token, 520 AG News rows, one epoch, fp32), exported by `submillion export`; other rows,
like length together, one thread. Rows a second of processor time, two rounds, the better one; share of labels that differ
from fp32's. Of the export in int8 by OpenVINO also: what its time goes into, and many texts and single
ones on all cores by either of OpenVINO's performance hints. Reads ../shared/agnews; the test split is not read.
"""

import argparse
import collections
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from tokenizers import Tokenizer

import submillion
from export_speed import AGNEWS, _trained, by_readme
from record import append, source, stands
from submillion.exporters.openvino import decline_telemetry

NAME = "export_ways"
N_ROWS, N_TRAIN, TOKENS_AT_ONCE, ROUNDS = 240, 520, 1024, 2
Call = Callable[[np.ndarray, np.ndarray], np.ndarray]
Batches = list[tuple[np.ndarray, np.ndarray]]


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--run", help="a finished run in place of a new training")
    options = asked.parse_args()
    key = {"rows": N_ROWS, "nncf": version("nncf"), "exporters": source("exporters")}
    if stands(NAME, **key):
        return
    rows = pd.read_csv(AGNEWS / "train_text.csv").sample(N_TRAIN + N_ROWS, random_state=3)
    texts = rows["text"][N_TRAIN:].tolist()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Path(options.run) if options.run else _trained(rows[:N_TRAIN], folder)
        for format in ("onnx", "openvino"):
            submillion.export(run, folder / format, format=format, data=texts[:64])
        submillion.export(
            run,
            folder / "int8",
            format="openvino",
            int8=True,
            data=list(rows["text"][:N_TRAIN]),
            changed_labels=1.0,
        )
        tokenizer = Tokenizer.from_file(str(folder / "onnx" / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=85)
        batches = list(_batches([row.ids for row in tokenizer.encode_batch_fast(texts)]))
        samples = [
            np.array([row.ids]) for row in tokenizer.encode_batch_fast(rows["text"][:N_TRAIN].tolist())
        ]
        ways = {**_of_onnxruntime(folder), **_of_openvino(folder, samples)}
        best: dict[str, float] = dict.fromkeys(ways, 0.0)
        labels: dict[str, np.ndarray] = {}
        for _ in range(ROUNDS):
            for way, call in ways.items():
                started = time.process_time()
                labels[way] = np.concatenate([call(ids, mask).argmax(axis=1) for ids, mask in batches])
                best[way] = max(best[way], N_ROWS / (time.process_time() - started))
        fp32 = labels["onnxruntime fp32"]
        figures: dict[str, Any] = {
            way: {
                "rows_per_second": round(rate, 1),
                "labels_changed": round(float((labels[way] != fp32).mean()), 4),
            }
            for way, rate in best.items()
        }
        figures |= {"profile of the export": profile(folder, batches), "hints": streams(folder, texts * 3)}
    append(NAME, figures, **key)


def _batches(rows: list[list[int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield padded token numbers and masks, longest rows first."""
    rows = sorted(rows, key=len, reverse=True)
    while rows:
        longest = len(rows[0])
        part, rows = rows[: TOKENS_AT_ONCE // longest], rows[TOKENS_AT_ONCE // longest :]
        ids, mask = np.zeros((2, len(part), longest), dtype=np.int64)
        for place, row in enumerate(part):
            ids[place, : len(row)], mask[place, : len(row)] = row, 1
        yield ids, mask


def _of_onnxruntime(folder: Path) -> dict[str, Call]:
    plain = folder / "onnx" / "model.onnx"
    calls = {"onnxruntime fp32": _session(plain)}
    for way, options in {
        "int8 of 7 bits, a scale a column": {"reduce_range": True, "per_channel": True},
        "int8 of 8 bits, a scale a column": {"per_channel": True},
        "int8 of 8 bits, one scale": {},
        "uint8, a scale a column": {"per_channel": True, "weight_type": QuantType.QUInt8},
    }.items():
        model = onnx.load(plain)
        del model.graph.value_info[:]
        path = folder / f"{way}.onnx"
        options = {"weight_type": QuantType.QInt8} | options
        quantize_dynamic(model, path, op_types_to_quantize=["MatMul", "Gemm"], **options)
        calls[f"onnxruntime {way}"] = _session(path)
    # Attention, GELU and the norms as one node each, by ONNX Runtime's own optimiser.
    fused = optimize_model(str(plain), model_type="bert", opt_level=0)
    fused.save_model_to_file(str(folder / "fused.onnx"))
    calls["onnxruntime fp32, fused"] = _session(folder / "fused.onnx")
    path = folder / "fused int8.onnx"
    quantize_dynamic(folder / "fused.onnx", path, per_channel=True, weight_type=QuantType.QInt8)
    return calls | {"onnxruntime int8 of 8 bits, fused": _session(path)}


def _session(path: Path) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


def _of_openvino(folder: Path, samples: list[np.ndarray]) -> dict[str, Call]:
    decline_telemetry()
    import openvino

    def call(model: object, precision: str | None = "f32") -> Call:
        hints: dict[str, object] = {"INFERENCE_NUM_THREADS": 1}
        if precision is not None:
            hints["INFERENCE_PRECISION_HINT"] = precision
        compiled = openvino.compile_model(model, "CPU", hints)
        return lambda ids, mask: compiled({"input_ids": ids, "attention_mask": mask})["logits"]

    def read(path: Path) -> object:
        return openvino.Core().read_model(str(path))

    plain = folder / "openvino" / "openvino_model.xml"
    calls = {
        "openvino fp32": call(read(plain)),
        "openvino bf16": call(read(plain), "bf16"),
        "openvino, the int8 file of onnxruntime": call(
            read(folder / "int8 of 7 bits, a scale a column.onnx")
        ),
    }
    calls["openvino int8, as exported"] = call(read(folder / "int8" / "openvino_model.xml"), None)
    import nncf

    symmetric = nncf.CompressWeightsMode.INT8_SYM
    calls["openvino, weights compressed by nncf"] = call(nncf.compress_weights(read(plain), mode=symmetric))
    data = nncf.Dataset([{"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in samples])
    quantised = nncf.quantize(
        read(plain), data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples)
    )
    return calls | {
        "openvino, calibrated int8 by nncf": call(quantised),
        "openvino, calibrated int8 by nncf, the rest bf16": call(quantised, "bf16"),
    }


def profile(folder: Path, batches: Batches) -> dict[str, Any]:
    """Return the shares of the exported int8 model's time, by kind of node, one thread."""
    import openvino

    hints = {"INFERENCE_NUM_THREADS": 1, "PERF_COUNT": "YES"}
    compiled = openvino.compile_model(str(folder / "int8" / "openvino_model.xml"), "CPU", hints)
    request = compiled.create_infer_request()
    seconds: collections.Counter[str] = collections.Counter()
    for turn in range(2):
        for ids, mask in batches:
            request.infer({"input_ids": ids, "attention_mask": mask})
            for each in request.get_profiling_info() if turn else ():
                seconds[each.node_type] += each.real_time.total_seconds()
    total = sum(seconds.values())
    return {kind: round(spent / total, 3) for kind, spent in seconds.most_common(6)}


def streams(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Return rows a second of wall-clock on all cores, and milliseconds of a text alone, by the README's lines and either hint."""
    found: dict[str, Any] = {}
    logits_of = {hint: by_readme(folder / "int8", hint)["logits_of"] for hint in ("LATENCY", "THROUGHPUT")}
    seconds: dict[str, list[tuple[float, float]]] = {hint: [] for hint in logits_of}
    for _ in range(5):
        for hint, answer in logits_of.items():
            started = time.perf_counter()
            answer(texts)
            between = time.perf_counter()
            for text in texts[:50]:
                answer([text])
            seconds[hint].append((between - started, time.perf_counter() - between))
    for hint, rounds in seconds.items():
        found[hint] = {
            "rows_per_second": round(len(texts) / statistics.median(many for many, _ in rounds), 1),
            "ms_a_text": round(20 * statistics.median(single for _, single in rounds), 2),
        }
    return found


if __name__ == "__main__":
    main()
