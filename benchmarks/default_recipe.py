"""The default recipe beside its neighbours, on train rows left out; no test split is read.

    python benchmarks/default_recipe.py                 some hours on 2 cores; goes on where it stopped
    python benchmarks/default_recipe.py --data r8       a part of it, so that two processes share the machine
    python benchmarks/default_recipe.py --summary       the table, without computing

AG News and Reuters R8; at most 10 and 100 rows a class, the epochs those of the default by the number of rows, and 2,000
rows for 3 epochs, as many rows have them by default (6 would take 4 hours more); two seeds, texts cut at 128 tokens. Measured on 1,000 other train rows.
"""

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

import submillion
import texts
from record import append, lines, stands
from submillion.recipe import default_epochs

NAME = "default_recipe"
CANDIDATES: dict[str, dict[str, Any]] = {
    "default": {},
    "lr 5e-4": {"learning_rate": 5e-4},
    "lr 2e-3": {"learning_rate": 2e-3},
    "head at random": {"head_init": "random"},
    "first token, whole head": {"pooling": "first", "head": "full", "head_init": "random"},
    "first token, output from probe": {"pooling": "first", "head": "output"},
    "rank 16": {"max_rank": 16},
    "query, value": {"target_modules": "qv"},
    "all-linear": {"target_modules": "all-linear"},
    "smoothing 0.1": {"label_smoothing_factor": 0.1},
    "last 3 blocks": {"layers": "last:3"},
    "twice the epochs": {},
}
BASELINES = ("tfidf_svm", "probe_mean")
SIZES = {"10 a class": 10, "100 a class": 100, "2,000 rows, 3 epochs": None}
DATA, SEEDS, N_LEFT_OUT = ("agnews", "r8"), (1, 2), 1000


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    keys = itertools.product(() if asked.summary else asked.data, SEEDS, SIZES, CANDIDATES)
    for data, seed, size, candidate in keys:
        key = {"candidate": candidate, "data": data, "rows": size, "seed": seed}
        if not stands(NAME, **key):
            append(NAME, run(candidate, data, size, seed), **key)
    print(summary())


def run(candidate: str, data: str, size: str, seed: int) -> dict[str, Any]:
    """Train on rows of this seed and return accuracies on the rows left out, in points of 100."""
    left_out, rest = divided(data, seed)
    a_class = SIZES[size]
    train = rest[:2000] if a_class is None else rest.groupby("label", sort=False).head(a_class)
    fields = dict(CANDIDATES[candidate])
    fields["num_train_epochs"] = default_epochs(len(train)) if a_class else 3
    if candidate == "twice the epochs":
        fields["num_train_epochs"] *= 2
    names = ("adapter", *BASELINES) if candidate == "default" else ("adapter",)
    return measured(train, left_out, seed, names, **fields)


def divided(data: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the train rows that are left out, and the rest, both in the order of this seed."""
    rows = texts.read(data)[0].drop_duplicates("text").sample(frac=1, random_state=seed)
    return rows[:N_LEFT_OUT], rows[N_LEFT_OUT:]


def measured(
    train: pd.DataFrame, left_out: pd.DataFrame, seed: int, names: Sequence[str], **fields: Any
) -> dict[str, Any]:
    """Train on some rows and return the accuracies of what is named on the others, in points of 100."""
    with tempfile.TemporaryDirectory() as folder:
        record = submillion.train(
            train,
            output=f"{folder}/run",
            seed=seed,
            min_rows_to_split=10**9,
            quiet=True,
            **{"max_length": 128, **fields},
        )
        accuracies: dict[str, float] = {}
        for name in names:
            labels = submillion.load(f"{folder}/run", using=name).predict(left_out["text"].tolist())
            accuracies[name] = 100 * float((np.array(labels) == left_out["label"].astype(str)).mean())
    return {
        **accuracies,
        "train_rows": len(train),
        "trainable_parameters": record["plan"]["trainable_parameters"],
    }


def summary() -> str:
    """Return each candidate's mean over seeds for each setting, and over settings beside the default, in Markdown."""
    found = {tuple(line["settings"].values()): line["figures"] for line in lines(NAME)}
    settings = [(data, size) for data in DATA for size in SIZES]
    heads = [f"{data}, {size}" for data, size in settings]
    text = [
        f"| candidate | {' | '.join(heads)} | mean, minus the default |",
        "|---|" + "---|" * (len(heads) + 1),
    ]
    for name in (*CANDIDATES, *BASELINES):
        cells, differences = [], []
        for data, size in settings:
            figures = [
                (found[key], found[("default", data, size, seed)])
                for seed in SEEDS
                if (key := (name if name in CANDIDATES else "default", data, size, seed)) in found
                and ("default", data, size, seed) in found
            ]
            column = "adapter" if name in CANDIDATES else name
            values = [each[column] for each, _ in figures]
            differences += [each[column] - default["adapter"] for each, default in figures]
            cells.append(f"{statistics.mean(values):.1f}" if values else "-")
        mean = f"{statistics.mean(differences):+.2f} ({len(differences)})" if differences else "-"
        text.append(f"| {name} | {' | '.join(cells)} | {mean} |")
    return "\n".join(text)


if __name__ == "__main__":
    main()
