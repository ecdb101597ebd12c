"""The search beside the full grid: 24 candidates, what each chooses, and what that cost.

    python benchmarks/search_against_grid.py               some hours on 2 cores; goes on where it stopped
    python benchmarks/search_against_grid.py --data r52    a part of it
    python benchmarks/search_against_grid.py --ways grid --candidates 0 1 2     a part of the grid, in a process of its own
    python benchmarks/search_against_grid.py --summary     the table, without computing

Fixed rows (3,000 of R52, 6,000 of AG News), all-MiniLM-L6-v2, under 1,000,000 trainable parameters, texts cut at the
paper's 128 tokens. The grid trains every candidate for the paper's 3 epochs; the search halves. Each one's recommendation is
then trained in full with three seeds, and reads the official test split once a seed: as `submillion search` does by default, for
the epochs that the number of rows asks for, and the paper's way, for 10 with early stopping. Where both recommend one candidate,
it is trained once for both. A line a training, with its seconds of processor time, which other work on the machine
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
from submillion.study.recipe import FinalConfig, SearchConfig, SearchRecipe, StageConfig
from submillion.study.search import Study, costs
from submillion.training.prepare import Sources, prepare

NAME = "search_against_grid"
RUNS = Path(__file__).resolve().parents[1] / "runs" / NAME
ROWS = {"r52": 3000, "agnews": 6000}
MARGIN = {"r52": 1.0, "agnews": 0.5}
SEEDS = 3
FINALS = {
    "ours": FinalConfig(),
    "the paper's": FinalConfig(num_train_epochs=10, early_stopping_patience=3),
}
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
    options.add_argument("--finals", nargs="+", choices=list(FINALS), default=["ours"])
    options.add_argument("--repeats", nargs="+", type=int, choices=range(SEEDS), default=range(SEEDS))
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for data in () if asked.summary else asked.data:
        for way in asked.ways:
            stages(data, way, asked.candidates)
            for final in () if asked.candidates else asked.finals:
                for repeat in asked.repeats:
                    in_full(data, way, final, repeat)
    print(summary())


def studied(data: str, way: str, name: str, final: str = "ours") -> Study:
    """Return a study of a data set's fixed rows; ``name`` is its folder's in `runs/`."""
    train, test = texts.read(data)
    sources = Sources(texts.fixed(train, ROWS[data]), None, test)
    recipe = SearchRecipe(data=BASE, space=SPACE, final=FINALS[final], **WAYS[way])
    console = Console(file=sys.stderr)
    return Study(recipe, sources, prepare(recipe.base, sources, console), StudyFolder(RUNS / name), console)


def stages(data: str, way: str, candidates: Sequence[int] | None) -> None:
    """Do every short training of one way on one data set that does not stand there yet; or the first stage of some candidates."""
    study = studied(data, way, "-".join(map(str, [data, way, *(candidates or ())])))
    results = found(data, way)
    for job in study.jobs[:-1]:
        is_asked = candidates is None or (job.stage == 0 and job.place in candidates)
        if is_asked and job not in results:
            started = time.process_time()
            results[job] = study.do(job, results, lambda _epoch, _accuracy: None)
            if "seconds" in results[job]:
                results[job]["seconds"]["processor"] = round(time.process_time() - started, 1)
            append(NAME, results[job], data=data, way=way, job=job.to_json())


def in_full(data: str, way: str, final: str, repeat: int) -> None:
    """Train what a way recommends in full and read the test rows, unless that stands there; where the other way did, take its."""
    if any(each["repeat"] == repeat for each in finals(data, way, final)):
        return
    study = studied(data, way, f"{data}-{way}-finals", final)
    results = found(data, way)
    number = study.recommendation(results).number
    theirs = [
        each
        for other in WAYS
        for each in finals(data, other, final)
        if (each["candidate"], each["repeat"]) == (number, repeat)
    ]
    if theirs:
        result = theirs[0]
    else:
        folder = RunFolder(study.folder.path / f"{final.replace(' ', '-')}-{repeat}")
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        result = study.train_candidate(number, folder, repeat) | {"repeat": repeat, "right": rights(folder)}
    results[Job(len(study.stages), 0)] = result
    spent = costs(study.stages, results, 0.0, study.embedded_rows)
    named = {"chosen": study.candidates[number].name, "costs": spent}
    append(
        NAME, result | named, data=data, way=way, final=final, job=Job(len(study.stages), 0, repeat).to_json()
    )


def found(data: str, way: str) -> dict[Job, dict[str, Any]]:
    """Return the short trainings that stand there."""
    return {
        Job(*line["settings"]["job"]): line["figures"]
        for line in lines(NAME)
        if (line["settings"]["data"], line["settings"]["way"]) == (data, way)
        and "final" not in line["settings"]
    }


def finals(data: str, way: str, final: str) -> list[dict[str, Any]]:
    """Return the trainings in full that stand there, by seed."""
    key = {"data": data, "way": way, "final": final}
    those = [line["figures"] for line in lines(NAME) if key.items() <= line["settings"].items()]
    return sorted(those, key=lambda figures: figures["repeat"])


def rights(run: RunFolder) -> str:
    """Return which test rows a run has right, a bit each, in hexadecimal."""
    rows = read_scores(run.evaluation / "test" / "predictions.parquet")
    return np.packbits(rows.scores.predictions == rows.labels).tobytes().hex()


def summary() -> str:
    """Return the table in Markdown."""
    text = [
        "| data | in full | way | rows seen | seconds of processor | chosen | validation | test, each seed | search - grid on test (95 %) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for data in ROWS:
        for final in FINALS:
            of = {way: those for way in WAYS if (those := finals(data, way, final))}
            seen = {way: those[0]["costs"]["rows_seen"] for way, those in of.items()}
            for way, those in of.items():
                short = [
                    each["seconds"]["processor"] for each in found(data, way).values() if "seconds" in each
                ]
                share = f" ({seen[way] / seen['grid']:.1%})" if "grid" in seen else ""
                validation = ", ".join(f"{100 * each['accuracy']:.2f}" for each in those)
                test = ", ".join(f"{100 * each['test']['accuracy']['value']:.2f}" for each in those)
                difference = _difference(of, MARGIN[data]) if way == "search" and "grid" in of else ""
                text.append(
                    f"| {data} | {final} | {way} | {seen[way]:,}{share} | {sum(short):,.0f} | {those[0]['chosen']} "
                    f"| {validation} | {test} | {difference} |"
                )
    return "\n".join(text)


def _difference(of: Mapping[str, Sequence[Mapping[str, Any]]], margin: float) -> str:
    """Return the paired difference of the mean over the seeds that both have, row by row, and what it shows."""
    if len({those[0]["candidate"] for those in of.values()}) == 1:
        return "the same candidate"
    by_seed = {way: {each["repeat"]: each for each in those} for way, those in of.items()}
    seeds = sorted(set(by_seed["grid"]) & set(by_seed["search"]))
    if not seeds:
        return ""
    n = of["grid"][0]["test"]["n"]
    right = {
        way: np.mean([_bits(those[seed], n) for seed in seeds], axis=0) for way, those in by_seed.items()
    }
    each = right["search"] - right["grid"]
    error = each.std(ddof=1) / n**0.5
    low, high = each.mean() - 1.96 * error, each.mean() + 1.96 * error
    power = norm.cdf(margin / 100 / error - 1.96) if error else 1.0
    verdict = "not inferior" if low > -margin / 100 else "not shown"
    n_seeds = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    return f"{100 * each.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f}), {verdict} at {margin:g} (power {power:.0%}, {n_seeds})"


def _bits(final: Mapping[str, Any], n: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(final["right"]), dtype=np.uint8), count=n)


if __name__ == "__main__":
    main()
