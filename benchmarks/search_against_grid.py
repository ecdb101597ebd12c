"""The search beside the full grid: 24 candidates, what each chooses, and what that cost.

    python benchmarks/search_against_grid.py               some hours on 2 cores; goes on where it stopped
    python benchmarks/search_against_grid.py --data r52    a part of it
    python benchmarks/search_against_grid.py --ways grid --candidates 0 1 2     a part of the grid, in a process of its own
    python benchmarks/search_against_grid.py --summary     the table, without computing

Fixed rows (3,000 of R52, 6,000 of AG News), all-MiniLM-L6-v2, under 1,000,000 trainable parameters, texts cut at the
paper's 128 tokens. The grid trains every candidate for the paper's 3 epochs; the search halves. Each one's recommendation is
then trained in full, the same way, with three seeds, and reads the official test split once a seed; where both recommend one
candidate, it is trained once for both. A line a training, with its seconds of processor time, which other work on the machine
disturbs less. The non-inferiority of the search's models to the grid's is judged on the test rows, paired (of several seeds
by the share of them that has a row right), with the power at the true difference 0: of the draw of test rows, for these models,
not of a new seed.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.stats import norm

import texts
from record import append, lines
from submillion.recipe import DataConfig
from submillion.run import RunFolder
from submillion.scoring import read_scores
from submillion.study.folder import StudyFolder
from submillion.study.jobs import Job
from submillion.study.recipe import SearchConfig, SearchRecipe, StageConfig
from submillion.study.search import Study, costs
from submillion.training.prepare import Sources, prepare

NAME = "search_against_grid"
RUNS = Path(__file__).resolve().parents[1] / "runs" / NAME
ROWS = {"r52": 3000, "agnews": 6000}
MARGIN = {"r52": 1.0, "agnews": 0.5}
SEEDS = 3
BASE = DataConfig(max_length=128)
SPACE = {
    "rank": (2, 8, "fill"),
    "learning_rate": (3e-4, 6e-4, 1.2e-3, 2.4e-3),
    "target_modules": (("query", "value"), ("query", "dense")),
}
WAYS = {
    "grid": {"stages": (StageConfig(num_train_epochs=3),)},
    "search": {
        "stages": (StageConfig(num_train_epochs=3),),
        "search": SearchConfig(halving=3, first_share=0.07),
    },
}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", nargs="+", choices=list(ROWS), default=list(ROWS))
    options.add_argument("--ways", nargs="+", choices=list(WAYS), default=["search", "grid"])
    options.add_argument("--candidates", nargs="+", type=int, help="first stage of these alone")
    options.add_argument("--finals", nargs="+", type=int, choices=range(SEEDS), default=range(SEEDS))
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for data in () if asked.summary else asked.data:
        for way in asked.ways:
            run(data, way, asked.candidates, asked.finals)
    print(summary())


def run(data: str, way: str, candidates: Sequence[int] | None, finals: Sequence[int]) -> None:
    """Do every training of one way on one data set that does not stand there yet.

    Args:
        data: Of `ROWS`.
        way: Of `WAYS`.
        candidates: The first stage of these alone, and nothing else; None: all.
        finals: The trainings in full that are done, by what is added to the seed.
    """
    train, test = texts.read(data)
    train = texts.fixed(train, ROWS[data])
    recipe = SearchRecipe(data=BASE, space=SPACE, **WAYS[way])
    console = Console(file=sys.stderr)
    sources = Sources(train, None, test)
    name = "-".join(map(str, [data, way, *(candidates or ())]))
    study = Study(recipe, sources, prepare(recipe.base, sources, console), StudyFolder(RUNS / name), console)
    results = found(data, way)
    last = len(study.stages)
    for job in (*study.jobs[:-1], *(Job(last, 0, repeat) for repeat in finals)):
        is_asked = candidates is None or (job.stage == 0 and job.place in candidates)
        if not is_asked or job in results:
            continue
        started = time.process_time()
        if job.stage < last:
            result = study.do(job, results, lambda _epoch, _accuracy: None)
        else:
            result = in_full(study, study.recommendation(results).number, job.repeat, data)
        if "seconds" in result:
            result["seconds"].setdefault("processor", round(time.process_time() - started, 1))
        if job == Job(last, 0, 0):
            result["costs"] = costs(study.stages, results | {job: result}, 0.0, study.embedded_rows)
            result["chosen"] = study.candidates[result["candidate"]].name
        append(NAME, result, data=data, way=way, job=job.to_json())
        results[job] = result


def in_full(study: Study, number: int, repeat: int, data: str) -> dict[str, Any]:
    """Train a recommended candidate in full and read the test rows; of one that stands there already, return that."""
    for way in WAYS:
        for final in finals_of(found(data, way)):
            if (final["candidate"], final.get("repeat", 0)) == (number, repeat):
                return {name: value for name, value in final.items() if name not in ("costs", "chosen")}
    folder = RunFolder(study.folder.path / f"best-{repeat}")
    folder.path.parent.mkdir(parents=True, exist_ok=True)
    return study.train_candidate(number, folder, repeat) | {"repeat": repeat, "right": rights(folder)}


def found(data: str, way: str) -> dict[Job, dict[str, Any]]:
    """Return the results that stand there."""
    return {
        Job(*line["settings"]["job"]): line["figures"]
        for line in lines(NAME)
        if (line["settings"]["data"], line["settings"]["way"]) == (data, way)
    }


def finals_of(results: Mapping[Job, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results of the trainings in full, by seed."""
    return [result for _, result in sorted(results.items()) if "test" in result]


def rights(run: RunFolder) -> str:
    """Return which test rows a run has right, a bit each, in hexadecimal."""
    rows = read_scores(run.evaluation / "test" / "predictions.parquet")
    return np.packbits(rows.scores.predictions == rows.labels).tobytes().hex()


def summary() -> str:
    """Return the table in Markdown."""
    text = [
        "| data | way | candidates | rows seen | seconds of processor | chosen | validation | test, each seed | search - grid on test (95 %) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for data in ROWS:
        finals = {way: those for way in WAYS if (those := finals_of(found(data, way)))}
        seen = {way: those[0]["costs"]["rows_seen"] for way, those in finals.items()}
        for way, those in finals.items():
            short = [result for result in found(data, way).values() if "test" not in result]
            seconds = sum(result["seconds"]["processor"] for result in short if "seconds" in result)
            share = f" ({seen[way] / seen['grid']:.1%})" if "grid" in seen else ""
            accuracies = [100 * final["test"]["accuracy"]["value"] for final in those]
            difference = _difference(finals, MARGIN[data]) if way == "search" and "grid" in finals else ""
            text.append(
                f"| {data} | {way} | {len([job for job in found(data, way) if job.stage == 0])} | {seen[way]:,}{share} "
                f"| {seconds:,.0f} | {those[0]['chosen']} | {100 * those[0]['accuracy']:.2f} "
                f"| {', '.join(f'{value:.2f}' for value in accuracies)} | {difference} |"
            )
    return "\n".join(text)


def _difference(finals: Mapping[str, Sequence[Mapping[str, Any]]], margin: float) -> str:
    """Return the paired difference of the mean over the seeds that both have, row by row, and what it shows."""
    if len({those[0]["candidate"] for those in finals.values()}) == 1:
        return "the same candidate"
    n_seeds = min(map(len, finals.values()))
    n = finals["grid"][0]["test"]["n"]
    right = {
        way: np.mean([_bits(final, n) for final in those[:n_seeds]], axis=0) for way, those in finals.items()
    }
    each = right["search"] - right["grid"]
    error = each.std(ddof=1) / n**0.5
    low, high = each.mean() - 1.96 * error, each.mean() + 1.96 * error
    power = norm.cdf(margin / 100 / error - 1.96) if error else 1.0
    verdict = "not inferior" if low > -margin / 100 else "not shown"
    seeds = f"{n_seeds} seed{'s' if n_seeds > 1 else ''}"
    return f"{100 * each.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f}), {verdict} at {margin:g} (power {power:.0%}, {seeds})"


def _bits(final: Mapping[str, Any], n: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(final["right"]), dtype=np.uint8), count=n)


if __name__ == "__main__":
    main()
