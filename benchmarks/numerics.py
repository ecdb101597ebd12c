"""Do the fast settings cost accuracy? AG News, 6,000 fixed rows, all-MiniLM-L6-v2, 2 epochs, 10 seeds, three numerics.

    python benchmarks/numerics.py                    about an hour and a half on 2 cores; goes on where it stopped

The default recipe but for its epochs, base dropout 0 on every side, every row of the 6,000 trained on. Scored on
10,000 other train rows, by what `predict` runs: the adapter in exact numerics after exact training, else in fast ones,
also after training in int8, in which nothing predicts. The test split is not read. Reads ../shared/agnews.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from scipy import stats

import submillion
from record import append, lines, stands

NAME = "numerics"
AGNEWS = Path(__file__).resolve().parents[2] / "shared" / "agnews"
SEEDS = range(10)
NUMERICS = ("exact", "fast", "int8")


def main() -> None:
    rows = pd.read_csv(AGNEWS / "train_text.csv").sample(16_000, random_state=7).reset_index(drop=True)
    train, left_out = rows[:6000], rows[6000:]
    for seed in SEEDS:
        for numerics in NUMERICS:
            if not stands(NAME, seed=seed, numerics=numerics):
                append(NAME, run(train, left_out, seed, numerics), seed=seed, numerics=numerics)
    print(summary())


def run(train: pd.DataFrame, left_out: pd.DataFrame, seed: int, numerics: str) -> dict[str, float]:
    """Train once and return the accuracy on rows left out, in points of 100."""
    with tempfile.TemporaryDirectory() as folder:
        record = submillion.train(
            train,
            output=Path(folder) / "run",
            seed=seed,
            numerics=numerics,
            num_train_epochs=2,
            base_dropout=0.0,
            min_rows_to_split=10**9,
            quiet=True,
        )
        started = time.monotonic()
        predictions = submillion.load(Path(folder) / "run").predict(left_out["text"].tolist())
    right = [
        prediction == str(label) for prediction, label in zip(predictions, left_out["label"], strict=True)
    ]
    return {
        "accuracy": 100 * statistics.mean(right),
        "training_seconds": record["seconds"]["training"],
        "scoring_seconds": round(time.monotonic() - started, 1),
    }


def summary() -> str:
    """Return each setting's difference to exact, with its 95 % t-interval over seeds."""
    found = {
        (line["settings"]["numerics"], line["settings"]["seed"]): line["figures"]["accuracy"]
        for line in lines(NAME)
    }
    text = []
    for numerics in NUMERICS:
        figures = [value for (name, _), value in found.items() if name == numerics]
        if figures:
            text.append(f"{numerics:6s} {statistics.mean(figures):.2f} over {len(figures)} seeds")
        both = [seed for seed in SEEDS if (numerics, seed) in found and ("exact", seed) in found]
        differences = [found[numerics, seed] - found["exact", seed] for seed in both]
        if numerics == "exact" or len(differences) < 2:
            continue
        mean, error = statistics.mean(differences), stats.sem(differences)
        low, high = stats.t.interval(0.95, len(differences) - 1, mean, error)
        text.append(
            f"       minus exact: {mean:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f} ({len(differences)} pairs)"
        )
    return "\n".join(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--summary"]:
        print(summary())
    else:
        main()
