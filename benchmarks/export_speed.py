"""Exports, text in, label out, tokenising included, beside the transformers pipeline at its best batch size.

    python benchmarks/export_speed.py                                     half an hour on 2 cores
    python benchmarks/export_speed.py --rows 400 --train-rows 520         short, for a look

One adapter (all-MiniLM-L6-v2, first token, AG News rows, one epoch, fp32), exported by `submillion export`. The exports
run by the lines of their own READMEs, which put rows of like length together; the pipeline runs the merged export, on
the same texts cut at the same length. Five rounds, the sides in turn, medians of wall-clock rows a second, the ratio's
range over the rounds; and rows a second of processor time, which other work on the machine disturbs less. Accuracy on
the same rows, which did not train. Reads ../shared/agnews; the test split is not read.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import submillion
from record import append, source, stands
from submillion.statistics import Interval, paired_difference

NAME = "export_speed"
AGNEWS = Path(__file__).resolve().parents[2] / "shared" / "agnews"
BATCH_SIZES = (1, 4, 8, 16, 32, 64)
EXPORTS = {
    "onnx int8": ("onnx", True),
    "openvino int8": ("openvino", True),
    "onnx": ("onnx", False),
    "openvino": ("openvino", False),
}
ROUNDS = 5


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=6000)
    asked.add_argument("--train-rows", type=int, default=2000)
    asked.add_argument("--run", help="a finished run in place of a new training")
    options = asked.parse_args()
    key = {"rows": options.rows, "train_rows": options.train_rows, "exporters": source("exporters")}
    if stands(NAME, **key):
        return
    rows = pd.read_csv(AGNEWS / "train_text.csv").sample(options.train_rows + options.rows, random_state=3)
    texts = rows["text"][options.train_rows :].tolist()
    truth = rows["label"][options.train_rows :].astype(str).to_numpy()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Path(options.run) if options.run else _trained(rows[: options.train_rows], folder)
        gate_rows = rows["text"][: options.train_rows].tolist()
        submillion.export(run, folder / "merged", format="merged", data=gate_rows)
        pipe = _pipeline(folder / "merged")
        tried = [
            (
                statistics.median(
                    _measured(lambda size=size: pipe(texts[:200], size), 200)[0][1] for _ in range(3)
                ),
                size,
            )
            for size in BATCH_SIZES
        ]
        best = max(tried)[1]
        sides: dict[str, Callable[[], np.ndarray]] = {"pipeline": lambda: pipe(texts, best)}
        gates = {}
        for side, (format, int8) in EXPORTS.items():
            made = submillion.export(
                run, folder / side, format=format, int8=int8, data=gate_rows, changed_labels=1.0
            )
            gates[side] = made["gate"]
            sides[side] = _labels_by_readme(folder / side, texts)
        seen: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        labels = {}
        for _ in range(ROUNDS):
            for side, answer in sides.items():
                rates, labels[side] = _measured(answer, len(texts))
                seen[side].append(rates)
    append(NAME, _figures(seen, labels, truth, best, gates), **key)


def _trained(rows: pd.DataFrame, folder: Path) -> Path:
    submillion.train(
        rows,
        output=folder / "run",
        pooling="first",
        head_init="probe",
        num_train_epochs=1,
        min_rows_to_split=10**9,
        numerics="exact",
        quiet=True,
    )
    return folder / "run"


def _pipeline(folder: Path) -> Callable[[list[str], int], np.ndarray]:
    """Return transformers' pipeline over the merged export."""
    from transformers import pipeline

    pipe = pipeline("text-classification", model=str(folder), tokenizer=str(folder), truncation=True)
    return lambda texts, size: np.array([answer["label"] for answer in pipe(texts, batch_size=size)])


def by_readme(folder: Path, hint: str = "THROUGHPUT") -> dict[str, Any]:
    """Return what the lines of an export's README define; ``hint``: OpenVINO's `PERFORMANCE_HINT`."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    lines, _, _ = code.replace('folder = "."', f"folder = {str(folder)!r}").partition("texts = [")
    space: dict[str, Any] = {}
    exec(lines.replace('"THROUGHPUT"', f'"{hint}"'), space)
    return space


def _labels_by_readme(folder: Path, texts: list[str]) -> Callable[[], np.ndarray]:
    """Return what labels ``texts`` by the lines of an export's README."""
    space = by_readme(folder)
    names = np.array([space["names"][index] for index in range(len(space["names"]))])
    return lambda: names[space["logits_of"](texts).argmax(axis=1)]


def _measured(answer: Callable[[], np.ndarray], n_rows: int) -> tuple[tuple[float, float], np.ndarray]:
    """Return rows a second of wall-clock and of processor time, and the labels."""
    wall, processor = time.perf_counter(), time.process_time()
    labels = answer()
    return (n_rows / (time.perf_counter() - wall), n_rows / (time.process_time() - processor)), labels


def _figures(
    seen: dict[str, list[tuple[float, float]]],
    labels: dict[str, np.ndarray],
    truth: np.ndarray,
    best: int,
    gates: dict[str, Any],
) -> dict[str, Any]:
    wall = {side: statistics.median(rate for rate, _ in rates) for side, rates in seen.items()}
    processor = {side: statistics.median(rate for _, rate in rates) for side, rates in seen.items()}
    accuracy = {side: float((answers == truth).mean()) for side, answers in labels.items()}
    exports = [side for side in seen if side != "pipeline"]
    return {
        "rows_per_second": {side: round(rate, 1) for side, rate in wall.items()},
        "rows_per_second_of_processor": {side: round(rate, 1) for side, rate in processor.items()},
        "ratio": {side: round(wall[side] / wall["pipeline"], 2) for side in exports},
        "ratio_of_processor": {side: round(processor[side] / processor["pipeline"], 2) for side in exports},
        "accuracy": {side: round(100 * value, 2) for side, value in accuracy.items()},
        "ratio_range": {
            side: [
                round(
                    edge(
                        mine / its for (mine, _), (its, _) in zip(seen[side], seen["pipeline"], strict=True)
                    ),
                    2,
                )
                for edge in (min, max)
            ]
            for side in exports
        },
        "points_lost": {
            side: _with_interval(paired_difference(labels["pipeline"] == truth, labels[side] == truth))
            for side in exports
        },
        "labels_changed": {
            side: round(float((labels[side] != labels["pipeline"]).mean()), 5) for side in exports
        },
        "gate": gates,
        "pipeline_batch_size": best,
    }


def _with_interval(figure: Interval) -> list[float]:
    """Return points of 100 and the ends of their 95 % interval."""
    return [round(100 * value, 2) for value in (figure.value, figure.low, figure.high)]


if __name__ == "__main__":
    main()
