"""Where should a small budget go: a full head and a low rank, an output head and a higher one, or mean pooling?

    python benchmarks/head_question.py             some hours on 2 cores; goes on where it stopped
    python benchmarks/head_question.py --summary   the table, without computing

all-MiniLM-L6-v2, 250,000 trainable parameters, of which the full head takes 59 %, the share that it takes of a million with
RoBERTa-base; the largest rank on query and dense for each; 6,000 AG News rows and 3,000 of 20 Newsgroups at 256 tokens; 3
seeds; official test splits. And rank allocation: EVA's redistribution beside the uniform rank, at the same count.
"""

import argparse
import statistics
from typing import Any

import texts
from once import train_and_test
from record import append, lines, stands

NAME = "head_question"
DATA: dict[str, tuple[int, dict[str, Any]]] = {"agnews": (6000, {}), "20ng": (3000, {"max_length": 256})}
WAYS: dict[str, dict[str, Any]] = {
    "full head": {"pooling": "first", "head": "full"},
    "output head": {"pooling": "first", "head": "output"},
    "mean pooling": {"pooling": "mean"},
    "mean pooling, EVA's ranks": {"pooling": "mean", "rank": "allocate"},
}
SEEDS = (1, 2, 3)
BUDGET = 250_000


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    options.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    options.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for seed in () if asked.summary else asked.seeds:
        for data in asked.data:
            for way in asked.ways:
                if not stands(NAME, data=data, way=way, seed=seed):
                    append(NAME, run(data, way, seed), data=data, way=way, seed=seed)
    print(summary())


def run(data: str, way: str, seed: int) -> dict[str, Any]:
    """Train and measure once; the rows are the same for every seed."""
    n_rows, fields = DATA[data]
    train, test = texts.read(data)
    record, report = train_and_test(
        texts.fixed(train, n_rows), test, seed=seed, budget=BUDGET, max_rank=None, **fields, **WAYS[way]
    )
    return {
        "accuracy": report["accuracy"]["value"],
        "macro_f1": report["macro_f1"]["value"],
        "rank": record["plan"]["rank"],
        "rank_pattern": record["plan"]["rank_pattern"],
        "trainable_parameters": record["plan"]["trainable_parameters"],
        "head_parameters": record["plan"]["head_parameters"],
        "best_epoch": record["best_epoch"],
        "numerics": record["with"]["numerics"],
        "seconds": record["seconds"],
    }


def summary() -> str:
    """Return means over seeds in Markdown, each seed beside them."""
    text = [
        "| data | way | rank | trainable | test accuracy, mean | each seed |",
        "|---|---|---|---|---|---|",
    ]
    for data in DATA:
        for way in WAYS:
            runs = [
                line["figures"]
                for line in lines(NAME)
                if (line["settings"]["data"], line["settings"]["way"]) == (data, way)
            ]
            if runs:
                each = [100 * run["accuracy"] for run in runs]
                text.append(
                    f"| {data} | {way} | {runs[0]['rank']} | {runs[0]['trainable_parameters']:,} "
                    f"| {statistics.mean(each):.2f} | {', '.join(f'{value:.2f}' for value in each)} |"
                )
    return "\n".join(text)


if __name__ == "__main__":
    main()
