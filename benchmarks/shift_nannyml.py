"""nannyml's estimate (CBPE) of the same cells as `shift.py`, in an environment of its own.

    python benchmarks/shift.py --export                         writes runs/shift/cells.npz
    python -m venv nannyml && nannyml/bin/pip install statsmodels nannyml
    NML_DISABLE_USAGE_LOGGING=1 nannyml/bin/python benchmarks/shift_nannyml.py            appends a line a cell to results/shift_nannyml.jsonl

Its dependencies (rich below 13 among them) exclude this project's, so the two meet through a file only.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from nannyml import CBPE

HERE = Path(__file__).resolve().parent
CELLS = HERE.parent / "runs" / "shift" / "cells.npz"
RESULTS = HERE / "results" / "shift_nannyml.jsonl"


def main() -> None:
    cells = np.load(CELLS)
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.is_file() else []
    stand = {json.dumps(json.loads(line)["settings"], sort_keys=True) for line in lines}
    for name in sorted({key.rsplit("/", 1)[0] for key in cells.files}):
        task, seed, family, share = name.split("/")
        settings = {"task": task, "seed": int(seed), "family": family, "share": float(share)}
        if json.dumps(settings, sort_keys=True) in stand:
            continue
        part = {key: cells[f"{name}/{key}"] for key in ("known", "labels", "new", "truth")}
        line = {
            "settings": settings,
            "figures": {
                "accuracy": float((part["new"].argmax(axis=1) == part["truth"]).mean()),
                "estimate": estimate(part["known"], part["labels"], part["new"]),
            },
            "command": " ".join(["python", *sys.argv]),
            "nannyml": version("nannyml"),
        }
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    print(summary())


def estimate(known: np.ndarray, labels: np.ndarray, new: np.ndarray) -> float:
    """Return CBPE's accuracy of new rows, from probabilities `[m, k]` of labelled ones and `[n, k]` of new ones."""
    columns = {str(label): f"p{label}" for label in range(known.shape[1])}

    def table(probabilities: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(probabilities, columns=list(columns.values()))
        return frame.assign(predicted=probabilities.argmax(axis=1).astype(str))

    cbpe = CBPE(
        y_pred_proba=columns,
        y_pred="predicted",
        y_true="label",
        problem_type="classification_multiclass",
        metrics=["accuracy"],
        chunk_number=1,
    )
    cbpe.fit(table(known).assign(label=labels.astype(str)))
    result = cbpe.estimate(table(new)).filter(period="analysis").to_df()
    return float(result[("accuracy", "value")].iloc[0])


def summary() -> str:
    """Return the mean absolute error by family in Markdown."""
    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    errors: dict[str, list[float]] = {}
    for line in lines:
        figures = line["figures"]
        errors.setdefault(line["settings"]["family"], []).append(
            100 * (figures["estimate"] - figures["accuracy"])
        )
    text = ["| family | cells | CBPE: mean absolute error (bias) |", "|---|---|---|"]
    text += [
        f"| {family} | {len(each)} | {np.abs(each).mean():.1f} ({np.mean(each):+.1f}) |"
        for family, each in errors.items()
    ]
    return "\n".join(text)


if __name__ == "__main__":
    main()
