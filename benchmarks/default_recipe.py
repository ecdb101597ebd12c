"""The default recipe beside its neighbours, on train rows left out; no test split is read.

    python benchmarks/default_recipe.py                 about two hours on 2 cores; goes on where it stopped
    python benchmarks/default_recipe.py --summary       the table, without computing

AG News and Reuters R8; at most 10 and 100 rows a class and 3,000 rows (3 epochs), two seeds. Measured on 1,000 other
train rows.
"""

import statistics
import sys
import tempfile
from typing import Any

import pandas as pd

import submillion
import texts
from record import append, lines, stands

NAME = "default_recipe"
CANDIDATES: dict[str, dict[str, Any]] = {
    "default": {},
    "lr 5e-4": {"learning_rate": 5e-4},
    "lr 2e-3": {"learning_rate": 2e-3},
    "head at random": {"head_init": "random"},
    "first token, whole head": {"pooling": "first", "head": "full", "head_init": "random"},
    "first token, output from probe": {"pooling": "first", "head": "output"},
    "rank 4": {"max_rank": 4},
    "rank 16": {"max_rank": 16},
    "query, value": {"target_modules": "qv"},
    "all-linear": {"target_modules": "all-linear"},
    "smoothing 0.1": {"label_smoothing_factor": 0.1},
    "no adapter dropout": {"lora_dropout": 0.0},
    "last 3 blocks": {"layers": "last:3"},
    "twice the epochs": {},
}
SIZES: dict[str, dict[str, Any]] = {
    "10 a class": {"num_train_epochs": 12},
    "100 a class": {"num_train_epochs": 6},
    "3,000 rows": {"num_train_epochs": 3},
}
DATA, SEEDS, N_LEFT_OUT = ("agnews", "r8"), (1, 2), 1000


def main() -> None:
    for seed in SEEDS:
        for size in SIZES:
            for data in DATA:
                for candidate in CANDIDATES:
                    key = {"candidate": candidate, "data": data, "rows": size, "seed": seed}
                    if not stands(NAME, **key):
                        append(NAME, run(candidate, data, size, seed), **key)
    print(summary())


def run(candidate: str, data: str, size: str, seed: int) -> dict[str, Any]:
    """Train on rows of this seed and return accuracies on the rows left out, in points of 100."""
    rows = texts.read(data)[0].drop_duplicates("text").sample(frac=1, random_state=seed)
    left_out, rest = rows[:N_LEFT_OUT], rows[N_LEFT_OUT:]
    train = rest[:3000] if size == "3,000 rows" else _at_most(rest, int(size.split()[0]))
    fields = SIZES[size] | CANDIDATES[candidate]
    if candidate == "twice the epochs":
        fields["num_train_epochs"] *= 2
    with tempfile.TemporaryDirectory() as folder:
        record = submillion.train(
            train, output=f"{folder}/run", seed=seed, min_rows_to_split=10**9, quiet=True, **fields
        )
        report = submillion.evaluate(f"{folder}/run", left_out)
    return {
        "adapter": 100 * report["accuracy"]["value"],
        **{each["name"]: 100 * each["accuracy"]["value"] for each in report["baselines"]},
        "train_rows": len(train),
        "training_seconds": record["seconds"]["training"],
        "trainable_parameters": record["plan"]["trainable_parameters"],
    }


def _at_most(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    return rows.groupby("label", sort=False).head(n)


def summary() -> str:
    """Return each candidate's mean over seeds for each setting, and over settings beside the default, in Markdown."""
    found = {tuple(line["settings"].values()): line["figures"] for line in lines(NAME)}
    settings = [(data, size) for data in DATA for size in SIZES]
    heads = [f"{data}, {size}" for data, size in settings]
    text = [
        f"| candidate | {' | '.join(heads)} | mean, minus the default |",
        "|---|" + "---|" * (len(heads) + 1),
    ]
    for name in (*CANDIDATES, "tfidf_svm", "probe_mean"):
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
    if sys.argv[1:] == ["--summary"]:
        print(summary())
    else:
        main()
