"""A published table, trained again: fixed rows, nothing chosen by them, the test split read once a row at the end.

STUDY/
  study.json      schema_version; recipes, the rows with what they came to and what was published
  study.db        the trainings and readings, each an Optuna trial (unless another storage is named)
  rows/NAME/      the run folder of each row
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from submillion.errors import ConfigError, RunError
from submillion.evaluation.whole import read_test_once, train_once
from submillion.recipe import SOURCE_FIELDS, Recipe, load_recipe
from submillion.run import RunFolder
from submillion.study.folder import StudyFolder, held
from submillion.study.jobs import Job, Results, Tell
from submillion.study.recipe import TableConfig
from submillion.training.prepare import Sources

TRAINING, READING = 0, 1

UNLIKE_THE_RESULT = {
    *SOURCE_FIELDS, "text_columns", "label_column", "label_names", "model", "speedups", "fp16",
    "per_device_eval_batch_size", "logging_steps", "save_steps", "keep_checkpoints", "report_to",
}  # fmt: skip
"""Fields that may differ from a published row's without its figure being another's; the encoder is compared by its name."""


def run_table(
    table: TableConfig,
    rows: Sequence[Recipe],
    sources: Sources,
    output: str,
    *,
    resume: bool,
    storage: str | None,
    console: Console,
) -> dict[str, Any]:
    """Train every row of a table in full, then read the test split once for each; return `study.json`.

    Args:
        table: What was published.
        rows: What each is trained by, in the table's order.
        sources: Train and test rows, and validation rows where they are not carved from train.
        output: The study folder; it must not exist or be empty, unless ``resume`` or a ``storage`` holds the study.
        resume: Go on with an interrupted study.
        storage: As `submillion.study.search.run_study` takes it.
        console: Where progress is shown.

    Raises:
        SubmillionError: Whatever a user can mend.
    """
    if sources.test is None:
        raise ConfigError(
            "a table is of test figures: name the test rows by --test, or data.test in the recipe"
        )
    folder = StudyFolder(output)
    folder.check(resume, storage)
    with held(folder, is_shared=storage is not None):
        jobs = [Job(stage, place) for stage in (TRAINING, READING) for place in range(len(rows))]
        definition = {
            "rows": [row.model_dump(mode="json", exclude={"data": {*SOURCE_FIELDS}}) for row in rows]
        }
        do = partial(_do, table, rows, sources, folder, console)
        with closing(folder.open_jobs(storage, console)) as study:
            study.begin(jobs, definition)
            folder.update(
                status="running",
                error=None,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                recipes=[row.model_dump(mode="json") for row in rows],
                data={"sources": sources.described()},
            )
            with folder.failure_noted():
                results = study.work(jobs, do)
        why_not = unpublished(table, rows, folder, results[Job(READING, 0)]["n"])
        return folder.update(
            status="finished", error=None, table=_lines(table, results, why_not), published_left_out=why_not
        )


def _do(
    table: TableConfig,
    rows: Sequence[Recipe],
    sources: Sources,
    folder: StudyFolder,
    console: Console,
    job: Job,
    _results: Results,
    _tell: Tell,
) -> dict[str, Any]:
    run = _run(folder, table, job.place)
    if job.stage == TRAINING:
        console.rule(table.rows[job.place].recipe)
        record = train_once(rows[job.place], sources, run, console)
        return {
            "accuracy": (record["figures"].get("validation") or {"accuracy": {"value": 0.0}})["accuracy"][
                "value"
            ],
            "trainable_parameters": record["plan"]["trainable_parameters"],
            "epochs": record["recipe"]["training"]["num_train_epochs"],
            "best_epoch": record["best_epoch"],
            "seconds": record["seconds"]["total"],
        }
    _check_one_split(folder, table)
    test = read_test_once(run, sources.test)
    return {"accuracy": test["accuracy"]["value"], "n": test["n"], "test": test["accuracy"]} | {
        name: test[name] for name in ("reads", "report")
    }


def _run(folder: StudyFolder, table: TableConfig, place: int) -> RunFolder:
    return RunFolder(folder.path / "rows" / table.rows[place].recipe)


def _check_one_split(folder: StudyFolder, table: TableConfig) -> None:
    """Refuse rows that were trained on different data.

    Raises:
        RunError: If they were.
    """
    splits = [_run(folder, table, place).read()["data"]["splits"] for place in range(len(table.rows))]
    if any(each != splits[0] for each in splits):
        raise RunError(
            f"{folder.path}: its rows were trained on different data, for what is read changed in between: choose another "
            "--output"
        )


def unpublished(table: TableConfig, rows: Sequence[Recipe], folder: StudyFolder, n_test: int) -> str | None:
    """Return why the published figures are not to stand beside these; None where they may."""
    for given, row in zip(rows, table.rows, strict=True):
        own = load_recipe(row.recipe)
        if Path(given.model.model).name != Path(own.model.model).name:
            return f"they are of {own.model.model}, these of {given.model.model}"
        differing = [
            name
            for section in ("data", "budget", "model", "training")
            for name, value in getattr(own, section)
            if name not in UNLIKE_THE_RESULT and getattr(getattr(given, section), name) != value
        ]
        if differing:
            return f"another {', '.join(differing)} was asked for"
    splits = _run(folder, table, 0).read()["data"]["splits"]
    n_rows = sum(
        splits[name]["n_rows"] for name in ("train", "validation", "calibration") if splits.get(name)
    )
    if not table.train_rows[0] <= n_rows <= table.train_rows[1]:
        return f"they are of {table.train_rows[1]:,} train rows, these of {n_rows:,}"
    if n_test != table.test_rows:
        return f"they are of {table.test_rows:,} test rows, these of {n_test:,}"
    return None


def _lines(table: TableConfig, results: Results, why_not: str | None) -> list[dict[str, Any]]:
    """Return the table: a row each, with the published figures where they may stand there."""
    return [
        {"name": row.recipe}
        | {
            name: results[Job(TRAINING, place)][name]
            for name in ("trainable_parameters", "epochs", "best_epoch", "seconds")
        }
        | {name: results[Job(READING, place)][name] for name in ("n", "test", "reads", "report")}
        | ({} if why_not else {"published": row.published, "published_parameters": row.published_parameters})
        for place, row in enumerate(table.rows)
    ]
