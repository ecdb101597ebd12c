"""Every method at the same budget: 100,000 and 1,000,000 trainable parameters, R8, 500 train rows.

    python benchmarks/methods.py               some hours on 2 cores; goes on where it stopped
    python benchmarks/methods.py --summary     the table, without computing

all-MiniLM-L6-v2, mean of the tokens, default targets, the largest rank that the budget allows, 6 epochs, 128 tokens, 3 seeds. The
learning rate is one of three for each method, the one that is best on the validation rows of each training (150 train rows).
Accuracy on the official test split, which chooses nothing. A line a training.
"""

import argparse
import itertools
import statistics
import tempfile
from typing import Any

import numpy as np

import submillion
import texts
from record import append, lines, stands
from submillion.budget import METHODS

NAME = "methods"
BUDGETS, SEEDS = (100_000, 1_000_000), (1, 2, 3)
N_TRAIN, N_VALIDATION = 500, 150
RATES = (1e-3, 3e-3, 1e-2)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for seed, budget, method, rate in itertools.product(
        () if asked.summary else SEEDS, BUDGETS, asked.methods, RATES
    ):
        key = {"method": method, "budget": budget, "learning_rate": rate, "seed": seed}
        if not stands(NAME, **key):
            append(NAME, run(method, budget, rate, seed), **key)
    print(summary())


def run(method: str, budget: int, rate: float, seed: int) -> dict[str, Any]:
    """Train once and return accuracies in points of 100."""
    train, test = texts.read("r8")
    rows = train.drop_duplicates("text").sample(frac=1, random_state=seed)
    validation, kept = rows[:N_VALIDATION], rows[N_VALIDATION : N_VALIDATION + N_TRAIN]
    with tempfile.TemporaryDirectory() as folder:
        record = submillion.train(
            kept,
            validation=validation,
            output=f"{folder}/run",
            method=method,
            budget=budget,
            max_rank=1024,
            learning_rate=rate,
            num_train_epochs=6,
            max_length=128,
            seed=seed,
            quiet=True,
        )
        model = submillion.load(f"{folder}/run", using="adapter")
        right = {
            name: np.array(model.predict(part["text"].tolist()), dtype=str) == part["label"].astype(str)
            for name, part in (("validation", validation), ("test", test))
        }
    return {
        **{name: 100 * float(each.mean()) for name, each in right.items()},
        "trainable_parameters": record["plan"]["trainable_parameters"],
        "rank": record["plan"]["rank"],
        "training_s": record["seconds"]["training"],
    }


def summary() -> str:
    """Return a row a method: for each budget its test accuracy at the rate that validation chose, over seeds, in Markdown."""
    heads = [f"{budget:,}: test accuracy (seeds) | trainable | s" for budget in BUDGETS]
    text = [f"| method | {' | '.join(heads)} |", "|---|" + "---|" * (3 * len(BUDGETS))]
    for method in METHODS:
        cells = []
        for budget in BUDGETS:
            best = []
            for seed in SEEDS:
                found = [
                    line["figures"]
                    for line in lines(NAME)
                    if (line["settings"]["method"], line["settings"]["budget"], line["settings"]["seed"])
                    == (method, budget, seed)
                ]
                if len(found) == len(RATES):
                    best.append(max(found, key=lambda figures: figures["validation"]))
            if not best:
                cells += ["-", "-", "-"]
                continue
            values = [figures["test"] for figures in best]
            told = ", ".join(f"{value:.1f}" for value in values)
            cells += [
                f"{statistics.mean(values):.1f} ({told})",
                f"{best[0]['trainable_parameters']:,}",
                f"{statistics.median(figures['training_s'] for figures in best):.0f}",
            ]
        text.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(text)


if __name__ == "__main__":
    main()
