"""The default recipe beside its neighbours on some thousand rows, on train rows left out; no test split is read.

    python benchmarks/many_rows.py                        for a GPU: many hours on 2 cores; goes on where it stopped
    python benchmarks/many_rows.py --data r52 --seeds 1   a part of it, such as a line of `at_once.py`'s jobs
    python benchmarks/many_rows.py --summary              the table, without computing

At most 12,000 rows of AG News, Reuters R8 and R52, cut as the recipe cuts them by default, and 20 Newsgroups at 256 tokens; two seeds,
each of which leaves other 1,000 train rows out. There are no rows for validation, so that the last epoch counts. By default there are 3 passes from 5,000 rows on, and 6 from 500.
"""

import argparse
import itertools
import statistics
from typing import Any

from default_recipe import BASELINES, divided, measured
from record import append, lines, stands

NAME = "many_rows"
DATA: dict[str, dict[str, Any]] = {
    "agnews": {"max_length": None},
    "r8": {"max_length": None},
    "r52": {"max_length": None},
    "20ng": {"max_length": 256},
}
CANDIDATES: dict[str, dict[str, Any]] = {
    "3 epochs": {"num_train_epochs": 3},
    "3 epochs, lr 2e-3": {"num_train_epochs": 3, "learning_rate": 2e-3},
    "3 epochs, rank up to 32": {"num_train_epochs": 3, "max_rank": 32},
    "6 epochs": {},
    "12 epochs": {"num_train_epochs": 12},
    "6 epochs, lr 5e-4": {"learning_rate": 5e-4},
    "6 epochs, lr 2e-3": {"learning_rate": 2e-3},
    "6 epochs, rank up to 32": {"max_rank": 32},
    "6 epochs, all-linear": {"target_modules": "all-linear"},
    "6 epochs, mean of the last 3": {"average_epochs": 3},
    "6 epochs, lr 2e-3, rank up to 32": {"learning_rate": 2e-3, "max_rank": 32},
    "6 epochs, lr 2e-3, rank up to 32, mean of the last 3": {
        "learning_rate": 2e-3,
        "max_rank": 32,
        "average_epochs": 3,
    },
    "12 epochs, lr 2e-3, rank up to 32": {"num_train_epochs": 12, "learning_rate": 2e-3, "max_rank": 32},
    "12 epochs, lr 2e-3, rank up to 32, mean of the last 3": {
        "num_train_epochs": 12,
        "learning_rate": 2e-3,
        "max_rank": 32,
        "average_epochs": 3,
    },
}
SEEDS, MOST_ROWS, MEASURED_BESIDE = (1, 2), 12_000, "6 epochs"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    options.add_argument("--candidates", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    options.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    keys = itertools.product(() if asked.summary else asked.data, asked.candidates, asked.seeds)
    for data, candidate, seed in keys:
        key = {"data": data, "candidate": candidate, "seed": seed}
        if not stands(NAME, **key):
            left_out, rest = divided(data, seed)
            names = ("adapter", *BASELINES) if candidate == MEASURED_BESIDE else ("adapter",)
            fields = DATA[data] | recipe_of(candidate)
            append(NAME, measured(rest[:MOST_ROWS], left_out, seed, names, **fields), **key)
    print(summary())


def recipe_of(candidate: str) -> dict[str, Any]:
    """Return the fields by which a candidate differs from the default recipe, its epochs among them."""
    return {"num_train_epochs": 6, **CANDIDATES[candidate]}


def summary() -> str:
    """Return each candidate's mean over seeds on each data set, and over data sets beside 6 epochs, in Markdown."""
    found = {tuple(line["settings"].values()): line["figures"] for line in lines(NAME)}
    text = [
        f"| candidate | {' | '.join(DATA)} | mean, minus {MEASURED_BESIDE} |",
        "|---|" + "---|" * (len(DATA) + 1),
    ]
    for name in (*CANDIDATES, *BASELINES):
        candidate, column = (name, "adapter") if name in CANDIDATES else (MEASURED_BESIDE, name)
        cells, differences = [], []
        for data in DATA:
            here = [seed for seed in SEEDS if (data, candidate, seed) in found]
            values = {seed: found[data, candidate, seed][column] for seed in here}
            cells.append(f"{statistics.mean(values.values()):.2f} ({len(values)})" if values else "-")
            beside = {seed: found.get((data, MEASURED_BESIDE, seed)) for seed in here}
            differences += [values[seed] - other["adapter"] for seed, other in beside.items() if other]
        mean = f"{statistics.mean(differences):+.2f} ({len(differences)})" if differences else "-"
        text.append(f"| {name} | {' | '.join(cells)} | {mean} |")
    return "\n".join(text)


if __name__ == "__main__":
    main()
