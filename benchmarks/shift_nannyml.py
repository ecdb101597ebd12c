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
                **estimate(part["known"], part["labels"], part["new"]),
            },
            "command": " ".join(["python", *sys.argv]),
            "nannyml": version("nannyml"),
        }
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    print(summary())


def estimate(known: np.ndarray, labels: np.ndarray, new: np.ndarray) -> dict[str, float]:
    """Return CBPE's accuracy of new rows and the ends of its interval, its own three standard errors to either side.

    Args:
        known: Probabilities of labelled rows, `[m, k]`.
        labels: Their labels, `[m]`.
        new: Probabilities of new rows, `[n, k]`.
    """
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
    columns_of = {
        "estimate": "value",
        "low": "lower_confidence_boundary",
        "high": "upper_confidence_boundary",
    }
    return {name: float(result[("accuracy", column)].iloc[0]) for name, column in columns_of.items()}


def summary() -> str:
    """Return by family how far CBPE is off, how wide its interval is and how often that holds the truth, in Markdown."""
    cells = pd.DataFrame(
        line["settings"] | line["figures"]
        for line in map(json.loads, RESULTS.read_text(encoding="utf-8").splitlines())
    )
    text = [
        "| family | cells | CBPE: mean absolute error (bias) | interval width | holds the truth |",
        "|---|---|---|---|---|",
    ]
    for family, each in cells.groupby("family", sort=False):
        errors = 100 * (each["estimate"] - each["accuracy"])
        holds = each["accuracy"].between(each["low"], each["high"])
        text.append(
            f"| {family} | {len(each)} | {errors.abs().mean():.1f} ({errors.mean():+.1f}) "
            f"| {100 * (each['high'] - each['low']).mean():.1f} | {holds.sum()} of {len(each)} |"
        )
    return "\n".join(text)


if __name__ == "__main__":
    main()
