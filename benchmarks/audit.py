"""What `submillion audit` finds of errors that were planted: labels turned, and rows copied with small changes.

python benchmarks/audit.py                  TF-IDF, AG News and R8, 3,000 rows, three seeds
python benchmarks/audit.py --encoder        the same by the frozen encoder's probe
python benchmarks/audit.py --time           duplicates of 120,000 rows of AG News, without labels

AG News has errors and near duplicates of its own; they count against precision of label errors, so that it is a lower bound.
Near duplicates that were found before planting are left out of both sides.
"""

import argparse
import csv
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import record
import submillion
import texts
from submillion.auditing import audit as auditing
from submillion.data.noise import typos

N_ROWS = 3_000
SHARE = 0.05
SEEDS = (0, 1, 2)
FILTERS = ("both", "prune_by_noise_rate", "prune_by_class", "confident_learning", "predicted_neq_given")
MADE_BY = (
    "auditing/duplicates.py",
    "auditing/label_errors.py",
    "data/near_duplicates.py",
    "data/duplicates.py",
    "baselines.py",
    "probe.py",
)
NEAR = ("duplicate", "near duplicate")


def _word_changed(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    words[rng.integers(len(words))] = "altogether"
    return " ".join(words)


def _mistyped(text: str, rng: np.random.Generator) -> str:
    return typos([text], 0.02, int(rng.integers(1 << 31)))[0]


def _cut(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    return " ".join(words[: -max(1, len(words) // 10)])


def _begun_otherwise(text: str, rng: np.random.Generator) -> str:
    return f"UPDATE 2: {text}"


CHANGES = {
    "a word changed": _word_changed,
    "2 % of letters mistyped": _mistyped,
    "the last tenth cut": _cut,
    "begun otherwise": _begun_otherwise,
}
"""How a planted near duplicate differs from its row; of each as many."""


def plant(rows: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, set[int], dict[int, tuple[int, str]]]:
    """Return rows with errors, the places whose label was turned, and of each planted copy its row and how it differs."""
    rng = np.random.default_rng(seed)
    labels = sorted(rows["label"].unique())
    turned = rng.choice(len(rows), round(SHARE * len(rows)), replace=False)
    rows = rows.reset_index(drop=True).copy()
    for place in turned.tolist():
        others = [label for label in labels if label != rows.at[place, "label"]]
        rows.at[place, "label"] = others[rng.integers(len(others))]
    longer = np.flatnonzero(rows["text"].str.split().str.len() >= 5)
    copied = rng.choice(longer, round(SHARE * len(rows)), replace=False)
    copies, made = {}, []
    for number, place in enumerate(copied.tolist()):
        name = list(CHANGES)[number % len(CHANGES)]
        text = CHANGES[name](rows.at[place, "text"], rng)
        copies[len(rows) + number] = place, name
        made.append({"text": text, "label": rows.at[place, "label"]})
    return pd.concat([rows, pd.DataFrame(made)], ignore_index=True), set(turned.tolist()), copies


def audited(rows: pd.DataFrame, without_encoder: bool, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the report of an audit and its `issues.csv`."""
    with tempfile.TemporaryDirectory() as folder:
        report = submillion.audit(rows, output=folder, without_encoder=without_encoder, seed=seed, quiet=True)
        return report, pd.read_csv(Path(folder) / "issues.csv", keep_default_na=False)


def measure(name: str, seed: int, without_encoder: bool) -> dict[str, Any]:
    rows = texts.fixed(texts.read(name)[0], N_ROWS)
    caught: dict[str, Any] = {}
    find = auditing.find_label_errors

    def catching(codes: np.ndarray, probabilities: np.ndarray) -> Any:
        caught.update(codes=codes, probabilities=probabilities)
        return find(codes, probabilities)

    planted, turned, copies = plant(rows, seed)
    _, before = audited(planted.loc[: len(rows) - 1, ["text"]], True, seed)
    auditing.find_label_errors = catching
    try:
        report, issues = audited(planted, without_encoder, seed)
    finally:
        auditing.find_label_errors = find
    # A copy of a row with a turned label has that label too: both are wrong.
    wrong = turned | {copy for copy, (place, _) in copies.items() if place in turned}
    return {
        "n": len(planted),
        "label_errors": _label_errors(issues, wrong),
        "by_filter": {each: _by_filter(caught, wrong, each) for each in FILTERS},
        "near_duplicates": _near(issues, before, copies),
        "agrees": report["label_errors"]["agrees"],
        "seconds": report["seconds"],
    }


def _label_errors(issues: pd.DataFrame, wrong: set[int]) -> dict[str, Any]:
    found = (issues.loc[issues["issue"] == "label error", "row"] - 1).tolist()
    first = found[: len(wrong)]
    return _figures(set(found), wrong) | {
        "precision_of_the_first": len(set(first) & wrong) / max(1, len(first))
    }


def _by_filter(caught: dict[str, Any], wrong: set[int], name: str) -> dict[str, Any]:
    from cleanlab.filter import find_label_issues

    found = find_label_issues(caught["codes"], caught["probabilities"], filter_by=name, n_jobs=1)
    return _figures(set(np.flatnonzero(found).tolist()), wrong)


def _near(issues: pd.DataFrame, before: pd.DataFrame, copies: dict[int, tuple[int, str]]) -> dict[str, Any]:
    old = _pairs(before)
    found = {row: like for row, like in _pairs(issues).items() if row not in old}
    right = {copy for copy, (place, _) in copies.items() if found.get(copy) == place}
    kinds = Counter(name for _, name in copies.values())
    hit = Counter(copies[copy][1] for copy in right)
    return {
        "precision": len(right) / max(1, len(found)),
        "recall": len(right) / len(copies),
        "found": len(found),
        "planted": len(copies),
        "found_before": len(old),
        "recall_by_change": {name: hit[name] / n for name, n in kinds.items()},
    }


def _pairs(issues: pd.DataFrame) -> dict[int, int]:
    near = issues[issues["issue"].isin(NEAR)]
    return {row - 1: int(like) - 1 for row, like in zip(near["row"], near["like_row"], strict=True)}


def _figures(found: set[int], wrong: set[int]) -> dict[str, Any]:
    both = len(found & wrong)
    return {
        "precision": both / max(1, len(found)),
        "recall": both / len(wrong),
        "found": len(found),
        "planted": len(wrong),
    }


def time_120_000() -> dict[str, Any]:
    """Return how long the duplicates of 120,000 rows take: AG News's train split as it lies here, 75,328 and 45,461 rows.

    The latter stand among the former, so that their words are turned round, to be texts of their own.
    """
    with (texts.AGNEWS / "train.csv").open(encoding="utf-8", newline="") as file:
        read = [" ".join(reversed(" ".join(row[1:]).split())) for row in csv.reader(file) if row[0].isdigit()]
    rows = pd.DataFrame({"text": [*texts.read("agnews")[0]["text"], *read][:120_000]})
    started = time.process_time()
    report, _ = audited(rows, True, 0)
    return {
        "n": report["n"],
        "seconds": report["seconds"]["duplicates"],
        "processor_seconds_of_the_whole_audit": round(time.process_time() - started, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "issues": {each["issue"]: each["n"] for each in report["issues"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", action="store_true")
    parser.add_argument("--time", action="store_true")
    options = parser.parse_args()
    code = record.source(*MADE_BY)
    if options.time:
        if not record.stands("audit", rows="120,000 of AG News", by="texts alone", code=code):
            record.append("audit", time_120_000(), rows="120,000 of AG News", by="texts alone", code=code)
        return
    by = "probe" if options.encoder else "tfidf"
    for name in ("agnews", "r8"):
        for seed in SEEDS:
            key = {"rows": name, "by": by, "seed": seed, "code": code}
            if not record.stands("audit", **key):
                record.append("audit", measure(name, seed, not options.encoder), **key)


if __name__ == "__main__":
    sys.exit(main())
