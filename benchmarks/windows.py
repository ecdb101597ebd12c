"""Long texts: cut at 128 tokens, read in windows of 128, or cut at 256; on train rows left out, no test split is read.

    python benchmarks/windows.py                        hours on 2 cores; goes on where it stopped
    python benchmarks/windows.py --rows 3 --seeds 1 --left-out 60       a quick try
    python benchmarks/windows.py --summary              the table, without computing

20 Newsgroups, at most so many rows a class to train on (100 unless told otherwise), the default recipe, three seeds (they
draw the rows too). Measured on 500 (`--left-out`) other train rows: accuracy, that on the rows of more than 128 and more than 256 tokens,
and seconds.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from typing import Any

import numpy as np

import submillion
import texts
from record import append, lines, stands
from submillion.data.tokens import encode
from submillion.encoders import load_tokenizer, resolve_encoder
from submillion.recipe import DEFAULT_MODEL

NAME = "windows"
CANDIDATES: dict[str, dict[str, Any]] = {
    "cut at 128": {"max_length": 128},
    "windows of 128": {"max_length": 128, "windows": "mean"},
    "cut at 256": {"max_length": 256},
}
FIGURES = ("accuracy", "accuracy_over_128", "accuracy_over_256", "training_seconds", "predicting_seconds")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rows", type=int, default=100, help="train rows a class")
    options.add_argument("--candidates", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    options.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 3))
    options.add_argument("--left-out", type=int, default=500, help="rows to measure on")
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for seed, candidate in itertools.product(() if asked.summary else asked.seeds, asked.candidates):
        key = {
            "candidate": candidate,
            "rows_a_class": asked.rows,
            "left_out": asked.left_out,
            "seed": seed,
        }
        if not stands(NAME, **key):
            append(NAME, run(candidate, asked.rows, asked.left_out, seed), **key)
    print(summary())


def run(candidate: str, rows_a_class: int, n_left_out: int, seed: int) -> dict[str, Any]:
    """Train on rows of this seed and return accuracies on the rows left out, in points of 100, and seconds."""
    rows = texts.read("20ng")[0].drop_duplicates("text").sample(frac=1, random_state=seed)
    left_out, rest = rows[:n_left_out], rows[n_left_out:]
    train = rest.groupby("label", sort=False).head(rows_a_class)
    new = left_out["text"].tolist()
    with tempfile.TemporaryDirectory() as folder:
        record = submillion.train(
            train,
            output=f"{folder}/run",
            seed=seed,
            min_rows_to_split=10**9,
            quiet=True,
            **CANDIDATES[candidate],
        )
        predictor = submillion.load(f"{folder}/run", using="adapter")
        started = time.monotonic()
        right = np.array(predictor.predict(new)) == left_out["label"].to_numpy().astype(str)
        seconds = time.monotonic() - started
    lengths = encode(load_tokenizer(resolve_encoder(DEFAULT_MODEL)), new).lengths
    return {
        "accuracy": 100 * float(right.mean()),
        "accuracy_over_128": 100 * float(right[lengths > 128].mean()),
        "accuracy_over_256": 100 * float(right[lengths > 256].mean()),
        "share_over_128": float((lengths > 128).mean()),
        "share_over_256": float((lengths > 256).mean()),
        "train_rows": len(train),
        "windows": record["data"]["windows"],
        "training_seconds": record["seconds"]["training"],
        "predicting_seconds": round(seconds, 1),
    }


def summary() -> str:
    """Return each candidate's mean and standard deviation over seeds, in Markdown."""
    text = [
        "| candidate | rows a class | seeds | " + " | ".join(FIGURES) + " |",
        "|---|" + "---|" * (len(FIGURES) + 2),
    ]
    settings = [
        {name: line["settings"][name] for name in ("rows_a_class", "left_out")} for line in lines(NAME)
    ]
    sizes = [size for place, size in enumerate(settings) if size not in settings[:place]]
    for size, candidate in itertools.product(sizes, CANDIDATES):
        found = [
            line["figures"]
            for line in lines(NAME)
            if line["settings"] == {**size, "candidate": candidate, "seed": line["settings"]["seed"]}
        ]
        if not found:
            continue
        cells = []
        for figure in FIGURES:
            values = [each[figure] for each in found]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        text.append(f"| {candidate} | {size['rows_a_class']} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(text)


if __name__ == "__main__":
    main()
