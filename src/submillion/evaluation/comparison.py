"""Runs side by side, on rows that both scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submillion.errors import ConfigError
from submillion.multi_label import SINGLE_LABEL, is_exact
from submillion.run import RunFolder, read_json
from submillion.scoring import ScoredRows, read_scores
from submillion.statistics import compare, wilson_interval


def compare_runs(runs: Sequence[str | Path]) -> dict[str, Any]:
    """Compare each run with the first, by paired verdicts on every set of rows that both scored.

    The sets are validation, where both held back the same rows, and every data set that both were evaluated
    on by `submillion evaluate`.

    Args:
        runs: At least two finished run folders.

    Raises:
        ConfigError: If fewer than two runs are given, or some give one label a row and others several.
        RunError: If one is not a finished run.
    """
    if len(runs) < 2:
        raise ConfigError(f"compare needs at least two runs, {len(runs)} given")
    folders = [RunFolder(run) for run in runs]
    records = [folder.read_finished() for folder in folders]
    margin = records[0]["recipe"]["evaluation"]["margin"] / 100
    kinds = {record["recipe"]["data"].get("problem_type") or SINGLE_LABEL for record in records}
    if len(kinds) > 1:
        raise ConfigError(
            f"some of these runs give one label a row and some several ({', '.join(sorted(kinds))}): compare runs of one kind"
        )
    scored = [_scored_sets(folder, record) for folder, record in zip(folders, records, strict=True)]
    comparisons = []
    for index in range(1, len(folders)):
        for sha256, (name, mine) in scored[0].items():
            if sha256 not in scored[index]:
                continue
            theirs = scored[index][sha256][1]
            verdict = compare(
                _right(mine), _right(theirs), margin=margin, names=(str(runs[0]), str(runs[index]))
            )
            comparisons.append(
                {
                    "first": str(runs[0]),
                    "second": str(runs[index]),
                    "rows": name,
                    "verdict": verdict.to_json(),
                }
            )
    return {
        "runs": [
            _summary(str(run), record, sets) for run, record, sets in zip(runs, records, scored, strict=True)
        ],
        "margin": margin,
        "comparisons": comparisons,
        "notes": []
        if comparisons
        else [
            "the runs scored no rows in common: run `submillion evaluate` on the same file for each of them"
        ],
    }


def _scored_sets(folder: RunFolder, record: dict[str, Any]) -> dict[str, tuple[str, ScoredRows]]:
    """Return what a run scored: sha256 of the rows, in their order -> their name and scores."""
    sets: dict[str, tuple[str, ScoredRows]] = {}
    if folder.scores("validation").is_file():
        rows = read_scores(folder.scores("validation"))
        numbers = ",".join(map(str, rows.row_numbers))
        sets[f"{record['data']['splits']['validation']['sha256']} {numbers}"] = ("validation", rows)
    for path in sorted(folder.evaluation.glob("*/report.json")):
        report = read_json(path)
        if "accuracy" in report:  # of rows without labels there is nothing to compare
            sets[report["ordered_sha256"]] = (
                path.parent.name,
                read_scores(path.parent / "predictions.parquet"),
            )
    return sets


def _right(rows: ScoredRows) -> Any:
    """Return whether each row was labelled rightly; of several labels, all of them."""
    return is_exact(rows.labels, rows.scores.predictions)


def _summary(run: str, record: dict[str, Any], sets: dict[str, tuple[str, ScoredRows]]) -> dict[str, Any]:
    """Return what a run is and how often it was right on each set of rows."""
    plan = record["plan"]
    return {
        "run": run,
        "model": record["recipe"]["model"]["model"],
        "method": plan["method"],
        "rank": plan["rank"],
        "target_modules": plan["target_modules"],
        "trainable_parameters": plan["trainable_parameters"],
        "seconds": record["seconds"]["total"],
        "accuracy": {
            name: wilson_interval(int(_right(rows).sum()), len(rows.row_numbers)).to_json()
            for name, rows in sets.values()
        },
    }
