"""alibi-detect's and evidently's drift detectors on the same cells as `shift.py`, in an environment of their own.

    python benchmarks/shift.py --export                         writes runs/shift/pools.npz
    python -m venv drift && drift/bin/pip install torch==2.13.0 alibi-detect evidently
    DO_NOT_TRACK=1 drift/bin/python benchmarks/shift_drift.py              appends a line a cell to results/shift_drift.jsonl, 25 minutes
    drift/bin/python benchmarks/shift_drift.py --summary                   the tables, without computing

Each tool's defaults, and as known rows those that ours has: all that a run remembers, or where a kernel over all pairs
is taken, `N_KERNEL` of them. What a detector sees is the frozen encoder's embeddings, as alibi-detect's page on text has it;
its classifier and kernel also see what ours sees, the look of the surface beside them, on columns of mean 0 and deviation 1.
alibi-detect wants numpy below 2 and transformers below 5, so they meet this project through a file only.
"""

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from alibi_detect.cd import ClassifierDrift, MMDDrift
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from evidently.metrics.embeddings import ModelDriftMethod, RatioDriftMethod
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
POOLS = HERE.parent / "runs" / "shift" / "pools.npz"
RESULTS = HERE / "results" / "shift_drift.jsonl"
OURS = HERE / "results" / "shift.jsonl"
TOOLS = ("alibi-detect", "evidently", "scikit-learn", "torch")

N_SURFACE = 8
"""The last columns are the look of the surface, the others the frozen encoder's embeddings."""

N_KERNEL = 1000
LIMIT = 10.0
"""Columns of mean 0 and deviation 1 are cut there, as ours are."""

P_VALUE = 0.05
DEVELOPMENT = ("topic", "typos", "topic and typos", "class")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    if not asked.summary:
        run()
    print(summary())


def run() -> None:
    """Do every cell that does not stand there yet."""
    pools = np.load(POOLS)
    stand = {_key(line["settings"]) for line in _lines(RESULTS)}
    for settings in (line["settings"] for line in _lines(OURS)):
        if _key(settings) in stand:
            continue
        known, known_texts, new, new_texts = cell(pools, **settings)
        line = {
            "settings": settings,
            "figures": {
                **by_alibi_detect(known, new),
                **by_evidently(known, new, known_texts, new_texts),
            },
            "command": " ".join(["python", *sys.argv]),
            "versions": {tool: version(tool) for tool in TOOLS},
        }
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def cell(
    pools: Any, task: str, seed: int, family: str, share: float
) -> tuple[np.ndarray, list[str], np.ndarray, list[str]]:
    """Return the columns and texts of the known rows, and those of the new ones."""

    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        frozen, surface, texts = (
            pools[f"{task}/{seed}/{name}/{part}"] for part in ("frozen", "surface", "texts")
        )
        return np.concatenate([frozen, surface], axis=1, dtype=np.float32), np.array(
            json.loads(texts.tobytes()), dtype=object
        )

    drawn = {"familiar": "familiar", family: "other"}
    rows = [pools[f"{task}/{seed}/{family}/{share}/{part}"] for part in drawn.values()]
    new, new_texts = (
        np.concatenate([each[places] for each, places in zip(both, rows, strict=True)])
        for both in zip(*map(read, drawn), strict=True)
    )
    known, known_texts = read("known")
    return known, known_texts.tolist(), new, new_texts.tolist()


def by_alibi_detect(known: np.ndarray, new: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return what alibi-detect's detectors find: whether there is drift, its distance and the p-value.

    Args:
        known: Columns of known rows, `[m, d]`.
        new: The same of new rows, `[n, d]`.
    """
    mean, deviation = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-6)
    seen = {
        "embeddings": (known[:, :-N_SURFACE], new[:, :-N_SURFACE]),
        "our columns": tuple(np.clip((rows - mean) / deviation, -LIMIT, LIMIT) for rows in (known, new)),
    }
    # The settings of our own classifier, so that the tests are compared and not two classifiers.
    classifier = LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced")
    found = {}
    for name, (old, fresh) in seen.items():
        np.random.seed(0)
        torch.manual_seed(0)
        drawn = np.random.default_rng(0).permutation(len(old))[:N_KERNEL]
        detectors = {"MMD": MMDDrift(old[drawn], backend="pytorch", p_val=P_VALUE, device="cpu")}
        detectors |= {
            method: ClassifierDrift(
                old, make_pipeline(StandardScaler(), classifier), "sklearn", p_val=P_VALUE, n_folds=folds
            )
            for method, folds in (("classifier", None), ("classifier in 5 folds", 5))
        }
        for method, detector in detectors.items():
            said = detector.predict(fresh)["data"]
            found[f"alibi-detect: {method}, {name}"] = {
                "drift": bool(said["is_drift"]),
                "score": float(said["distance"]),
                "p_value": float(said["p_val"]),
            }
    return found


def by_evidently(
    known: np.ndarray, new: np.ndarray, known_texts: list[str], new_texts: list[str]
) -> dict[str, dict[str, Any]]:
    """Return what evidently's methods find: whether there is drift, and its score.

    Its default for embeddings is the classifier, above 0.55 where there are 1,000 known rows or more. The methods are called
    without the report around them, which draws all rows by t-SNE at each call.
    """
    found = {}
    for name, method in {
        "classifier": ModelDriftMethod(bootstrap=len(known) < 1000),
        "share of drifted columns": RatioDriftMethod(),
    }.items():
        score, is_drift, _ = method(*(pd.DataFrame(rows[:, :-N_SURFACE]) for rows in (new, known)))
        found[f"evidently: {name}, embeddings"] = {"drift": bool(is_drift), "score": float(score)}
    definition = DataDefinition(text_columns=["text"])
    old, fresh = (
        Dataset.from_pandas(pd.DataFrame({"text": texts}), definition) for texts in (known_texts, new_texts)
    )
    metric = Report([ValueDrift(column="text")], include_tests=True).run(fresh, old).dict()
    found["evidently: classifier, texts"] = {
        "drift": metric["tests"][0]["status"] == "FAIL",
        "score": float(metric["metrics"][0]["value"]),
    }
    return found


def summary() -> str:
    """Return how often each says "drift" and how its score orders the cells, by share and by family, in Markdown."""
    cells = table()
    one = cells[cells["method"] == cells["method"].iloc[0]]
    n_cells = one.groupby("share").size()
    heads = [f"{100 * share:.0f} % (of {n})" for share, n in n_cells.items()]
    heads += [
        "its score at 50 %, by family",
        "order within a family (lowest)",
        "order of all cells",
        "as a share, held out: as it stands",
        "by a fitted curve",
    ]
    text = ["| detector | score | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    of_families = []
    for (method, score), each in cells.groupby(["method", "of"], sort=False):
        families = by_family(each)
        orders = [order(part) for part in families.values()]
        at_half = each[each["share"] == 0.5].groupby("family")["score"].mean()
        row = [str(n) for n in each.groupby("share")["drift"].sum()]
        row += [
            f"{at_half.min():.2g} to {at_half.max():.2g}",
            f"{np.mean(orders):.2f} ({min(orders):.2f})",
            f"{order(each):.2f}",
            *share_errors(each),
        ]
        text.append(f"| {method} | {score} | " + " | ".join(row) + " |")
        found = [f"{part[part['share'] > 0]['drift'].sum()}, {order(part):.2f}" for part in families.values()]
        of_families.append(f"| {method} | " + " | ".join(found) + " |")
    families = by_family(one)
    heads = [f"{family} (of {(part['share'] > 0).sum()})" for family, part in families.items()]
    text += ["", "| detector | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|", *of_families]
    return "\n".join(text)


def table() -> pd.DataFrame:
    """Return a line for each cell and detector, ours among them: whether it says "drift", and its score."""
    theirs = {_key(line["settings"]): line["figures"] for line in _lines(RESULTS)}
    rows = []
    for line in _lines(OURS):
        if _key(line["settings"]) not in theirs:
            continue
        unlike = line["figures"]["unlike"]
        found = {
            "ours: the bound is above 0": (unlike["at_least"] > 0, unlike["value"]),
            "ours: the interval is above 0": (unlike["low"] > 0, unlike["value"]),
        }
        found |= {
            name: (each["drift"], each["score"]) for name, each in theirs[_key(line["settings"])].items()
        }
        rows += [
            {**line["settings"], "method": name, "of": _score(name), "drift": drift, "score": score}
            for name, (drift, score) in found.items()
        ]
    return pd.DataFrame(rows)


def _score(method: str) -> str:
    scores = {
        "ours": "share of rows",
        "MMD": "MMD²",
        "alibi": "KS distance",
        "columns, emb": "share of columns",
    }
    return next((score for part, score in scores.items() if part in method), "ROC AUC")


def by_family(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return each family's cells of one detector, with the cells at 0 % of the same models."""
    of_none = cells[cells["share"] == 0]
    parts = {}
    for family, each in cells[cells["share"] > 0].groupby("family", sort=False):
        parts[family] = pd.concat([of_none[of_none["task"].isin(each["task"])], each])
    return parts


def order(cells: pd.DataFrame) -> float:
    """Return Spearman's correlation of the score with the true share."""
    return float(cells["score"].corr(cells["share"], method="spearman"))


def share_errors(cells: pd.DataFrame) -> tuple[str, str]:
    """Return how far the score is off as a share on the held-out families, mean absolute in points.

    First as it stands, an area under the curve as twice what it has above 0.5; then turned into a share by the rising curve
    that fits the families of development best, for which somebody must know shares of such rows.
    """
    fitted, left_out = (
        cells[cells["family"].isin(DEVELOPMENT) == is_development] for is_development in (True, False)
    )

    def off(shares: Any) -> str:
        return f"{100 * np.abs(shares - left_out['share']).mean():.1f}"

    score = cells["of"].iloc[0]
    if score == "share of rows":
        return off(left_out["score"]), "-"
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(fitted["score"], fitted["share"])
    by_curve = off(curve.predict(left_out["score"]))
    if score == "MMD²":
        return "-", by_curve
    return off(2 * left_out["score"] - 1 if score == "ROC AUC" else left_out["score"]), by_curve


def _lines(path: Path) -> list[dict[str, Any]]:
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    )


def _key(settings: dict[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


if __name__ == "__main__":
    main()
