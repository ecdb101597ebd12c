"""A study: from a space to a recommended candidate, trained in full.

STUDY/
  study.json      schema_version; recipe, candidates, stages, costs, recommendation, the final run, reads of the test split
  study.db        the trainings, each an Optuna trial (unless another storage is named)
  runs/           a folder a short training: history.jsonl, result.json, validation_logits.npy
  best/           the run folder of the recommended candidate, trained in full
  report.html     all of it to look at
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from submillion.errors import ConfigError, DataError, Diverged, RunError
from submillion.evaluation.whole import read_test_once, train_once
from submillion.model.device import why_exact
from submillion.recipe import SOURCE_FIELDS
from submillion.run import RunFolder
from submillion.study.candidates import Candidate, draw_candidates
from submillion.study.folder import StudyFolder, held
from submillion.study.jobs import Job, Results, Tell
from submillion.study.recipe import SearchRecipe, StageConfig
from submillion.study.recommend import Judged, Recommendation, recommend
from submillion.study.report import write_report
from submillion.study.short import SCORED_ROW, Ground, right_rows, train_short
from submillion.training.prepare import Prepared, Sources, prepare

SEARCH_VERSION = 3
"""Of the rules by which candidates go on and are judged; a study that was begun by others is not resumed.
2: validation log loss between the stages, left-out train rows beside the validation rows in the last."""


class Study:
    """One process's part in a study."""

    def __init__(
        self,
        recipe: SearchRecipe,
        sources: Sources,
        prepared: Prepared,
        folder: StudyFolder,
        console: Console,
    ):
        self.recipe, self.sources, self.folder, self.console = recipe, sources, folder, console
        self.ground = Ground(prepared, console)
        self.candidates = draw_candidates(recipe, prepared.encoder, len(prepared.splits.label_names))
        self.runnable = [candidate for candidate in self.candidates if not candidate.refused]
        self.stages = recipe.stages_for(len(self.runnable))
        self.jobs = self._all_jobs()

    @property
    def embedded_rows(self) -> int:
        """Rows that the frozen encoder embeds for the study, once for each pooling that starts from a probe."""
        poolings = {
            candidate.recipe.budget.pooling
            for candidate in self.runnable
            if candidate.recipe.model.head_init == "probe"
        }
        return len(poolings) * len(self.ground.start_rows)

    @property
    def notes(self) -> list[str]:
        """What is to be known of the candidates as a whole."""
        asked, n_found = self.recipe.search.candidates, len(self.candidates)
        if asked == "grid" or n_found == asked:
            return []
        return [
            f"search.candidates={asked}: {n_found} are left, for {asked - n_found} drawn ones equal an earlier one"
        ]

    def _all_jobs(self) -> list[Job]:
        """Return every training that the study will hold, that in full last."""
        jobs, n_places = [], len(self.runnable)
        for number, stage in enumerate(self.stages):
            repeats = self.recipe.search.repeats if number == len(self.stages) - 1 else 1
            jobs += [Job(number, place, repeat) for place in range(n_places) for repeat in range(repeats)]
            n_places = min(n_places, stage.keep)
        return [*jobs, Job(len(self.stages), 0)]

    def candidate(self, job: Job, results: Results) -> Candidate | None:
        """Return which candidate takes a job's place; None where too few came through the stage before."""
        if job.stage == 0:
            return self.runnable[job.place]
        before = came_through(job.stage - 1, results)
        return self.candidates[before[job.place]] if job.place < len(before) else None

    def describe(self, job: Job, results: Results) -> dict[str, Any]:
        """Return a short training's candidate and what it varies."""
        candidate = self.candidate(job, results) if job.stage < len(self.stages) else None
        return {} if candidate is None else {"candidate": candidate.number, **candidate.varied}

    def do(self, job: Job, results: Results, tell: Tell) -> dict[str, Any]:
        """Train a job and return its result."""
        if job.stage == len(self.stages):
            return self.train_in_full(results)
        candidate = self.candidate(job, results)
        if candidate is None:
            return {"accuracy": None, "failed": "fewer candidates came through the stage before"}
        stage, is_last = self.stages[job.stage], job.stage == len(self.stages) - 1
        is_carved = self.sources.validation is None
        left_out = self.ground.left_out(stage.share) if is_last and is_carved else np.empty(0, dtype=np.int64)
        result = train_short(self.ground, candidate, stage, job.repeat, self.folder.run(job), tell, left_out)
        self._say(job, candidate, result)
        return result

    def _say(self, job: Job, candidate: Candidate, result: Mapping[str, Any]) -> None:
        came_to = (
            f"accuracy {100 * result['accuracy']:.2f} % of {result['judged_rows']:,} rows held back, validation log loss {result['log_loss']:.3f}"
            if result["accuracy"] is not None
            else result["failed"]
        )
        self.console.print(
            f"stage {job.stage + 1}, candidate {candidate.number} ({candidate.name}): {came_to}; {result['epochs_seen']:g} epochs "
            f"of {result['train_rows']:,} rows, {result['seconds']['total']:.0f} s",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )

    def recommendation(self, results: Results) -> Recommendation:
        """Judge the candidates of the last short stage that came through it with every seed.

        Raises:
            RunError: If none of them could be trained.
        """
        tried: dict[int, list[Mapping[str, Any]]] = {}
        for job, result in sorted(results.items()):
            if job.stage == len(self.stages) - 1 and "candidate" in result:
                tried.setdefault(result["candidate"], []).append(result)
        found = {
            number: runs for number, runs in tried.items() if all(run["accuracy"] is not None for run in runs)
        }
        if not found:
            reasons = dict.fromkeys(
                result["failed"] for result in results.values() if result.get("accuracy") is None
            )
            raise RunError("no candidate could be trained: " + "; ".join(reasons))
        judged = [
            Judged(
                number,
                self.candidates[number].name,
                runs[0]["trainable_parameters"],
                runs[0]["rows_seen"],
                np.mean([right_rows(run) for run in runs], axis=0),
            )
            for number, runs in found.items()
        ]
        margin = self.recipe.evaluation.margin / 100
        return recommend(judged, len(self.runnable), margin, self.recipe.seed)

    def train_in_full(self, results: Results) -> dict[str, Any]:
        """Train the recommended candidate in full and, where there is a test split, read it once.

        Returns:
            What it came to; ``accuracy`` is None where it diverged, and ``failed`` says what to do.
        """
        recommended = self.recommendation(results)
        self.folder.update(recommendation=recommended.to_json())
        self.console.print(
            f"recommended: {recommended.reason}", highlight=False, soft_wrap=True, markup=False, style="bold"
        )
        return self.train_candidate(recommended.number, self.folder.best)

    def train_candidate(self, number: int, folder: RunFolder, repeat: int = 0) -> dict[str, Any]:
        """Train a candidate in full into ``folder``, ``repeat`` added to its seed; what it comes to is as of `train_in_full`."""
        candidate = self.candidates[number]
        recipe = self.recipe.in_full(candidate.recipe, candidate.varied)
        recipe = recipe.model_copy(update={"seed": recipe.seed + repeat})
        try:
            record = train_once(recipe, self.sources, folder, self.console)
        except Diverged:
            return {"accuracy": None, "candidate": candidate.number, "failed": _diverged(candidate)}
        return {
            "accuracy": record["figures"]["validation"]["accuracy"]["value"],
            "candidate": number,
            "trainable_parameters": record["plan"]["trainable_parameters"],
            "seconds": {
                "training": record["seconds"]["training"],
                "total": record["seconds"]["total"],
            },
            "folder": str(folder.path.absolute()),
            "test": None if self.sources.test is None else self._read_test(folder),
        }

    def _read_test(self, folder: RunFolder) -> dict[str, Any]:
        """Read the test split once for a final run.

        Raises:
            DataError: If its labels, which nobody has looked at before, are not those of train.
        """
        try:
            return read_test_once(folder, self.sources.test)
        except DataError as error:
            raise DataError(
                f"{error}. The recommendation and the final run {folder.path} are kept: once that is mended, go on "
                "by --resume, or measure the run on other rows by: submillion evaluate"
            ) from None


def came_through(stage: int, results: Results) -> list[int]:
    """Return the numbers of the candidates that came through a stage but the last, those first that are to go on.

    By validation log loss, not by accuracy: after a stage of a few hundred rows that is the same for most, and who will gain by
    more rows shows in the log loss first. Small ones are preferred in the recommendation alone.

    >>> came_through(0, {
    ...     Job(0, 0): {"candidate": 0, "accuracy": 0.9, "log_loss": 0.4},
    ...     Job(0, 1): {"candidate": 1, "accuracy": 0.8, "log_loss": 0.3},
    ...     Job(0, 2): {"candidate": 2, "accuracy": None, "failed": "diverged"},
    ... })
    [1, 0]
    """
    ranked = sorted(
        (result["log_loss"], result["candidate"])
        for job, result in results.items()
        if job.stage == stage and result.get("accuracy") is not None
    )
    return [number for _, number in ranked]


def _diverged(candidate: Candidate) -> str:
    """Say what to do where the training in full of the recommended candidate diverged; the next one is no better known."""
    return (
        f"the final run of the recommended candidate {candidate.number} ({candidate.name}) diverged, and would again: lower "
        f"the learning_rate, which is {candidate.recipe.training.learning_rate:g}, and search anew into another --output"
    )


def run_study(
    recipe: SearchRecipe,
    sources: Sources,
    output: str,
    *,
    resume: bool,
    storage: str | None,
    console: Console,
) -> dict[str, Any]:
    """Search by a recipe into a study folder and return its `study.json`.

    Args:
        recipe: What to search.
        sources: Train rows, validation rows where they are not carved from train, and test rows, read once at the end.
        output: The study folder; it must not exist or be empty, unless ``resume`` or a ``storage`` holds the study.
        resume: Go on with an interrupted study.
        storage: An SQLAlchemy URL that several processes may name to work on one study, named after the folder; None: a file
            in the folder, for one process.
        console: Where progress is shown.

    Raises:
        SubmillionError: Whatever a user can mend.
    """
    folder = StudyFolder(output)
    folder.check(resume, storage)
    started = time.monotonic()
    with held(folder, is_shared=storage is not None):
        prepared = prepare(recipe.base, sources, console, for_many=True)
        if prepared.splits.validation is None:
            raise ConfigError(
                f"{len(prepared.splits.train):,} rows are too few to hold any back, and a search chooses by rows held back: "
                "give --validation, or lower --min-rows-to-split"
            )
        study = Study(recipe, sources, prepared, folder, console)
        _say_plan(study, console)
        with closing(folder.open_jobs(storage, console)) as jobs:
            jobs.begin(study.jobs, _definition(study))
            folder.update(**_first_record(study, sources))
            preparing = time.monotonic() - started
            with folder.failure_noted():
                results = jobs.work(study.jobs, study.do, study.describe)
                folder.update(**_last_record(study, results, preparing))
                write_report(folder)
        return folder.update(status="finished", error=None)


def _say_plan(study: Study, console: Console) -> None:
    say = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    n_refused = len(study.candidates) - len(study.runnable)
    refused = f", {n_refused} are refused (see study.json)" if n_refused else ""
    say(f"{len(study.candidates)} candidates: {len(study.runnable)} to train{refused}")
    model_type, asked = study.ground.prepared.plan.model_type, study.recipe.base.training
    if asked.numerics is None and not asked.fp16 and (reason := why_exact(model_type)):
        say(f"  note: {reason}")
    for note in study.notes:
        say(f"  note: {note}")
    for candidate in study.candidates:
        if candidate.refused:
            say(
                f"  never started: candidate {candidate.number} ({candidate.name}): {candidate.refused}",
                style="dim",
            )
    for number, stage in enumerate(study.stages):
        n_places = len({job.place for job in study.jobs if job.stage == number})
        epochs = f"{stage.num_train_epochs:g}" if stage.num_train_epochs else "their own"
        say(
            f"  stage {number + 1}: {n_places} candidates, {100 * stage.share:g} % of the rows, {epochs} epochs"
        )
    say("  then the recommended one in full")


def _definition(study: Study) -> dict[str, Any]:
    """Return what two processes must agree on to work on one study."""
    return {
        "version of the search": SEARCH_VERSION,
        "recipe": study.recipe.model_dump(mode="json", exclude={"data": {*SOURCE_FIELDS}}),
        "rows": study.ground.prepared.splits.summary()["splits"],
        "numerics": study.ground.prepared.recipe.training.numerics,
    }


def _first_record(study: Study, sources: Sources) -> dict[str, Any]:
    splits = study.ground.prepared.splits
    return {
        "status": "running",
        "error": None,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": study.recipe.model_dump(mode="json"),
        "encoder": study.ground.prepared.encoder,
        "data": {"sources": sources.described(), **splits.summary()},
        "candidates": [candidate.to_json() for candidate in study.candidates],
        "notes": study.notes,
        "stages": [stage.model_dump(mode="json") for stage in study.stages],
    }


def _last_record(study: Study, results: Results, preparing: float) -> dict[str, Any]:
    """Return what `study.json` says once every training has a result.

    Raises:
        RunError: If the training in full diverged.
    """
    final = results[Job(len(study.stages), 0)]
    if final["accuracy"] is None:
        raise RunError(final["failed"])
    return {
        "recommendation": study.recommendation(results).to_json(),
        "trainings": [
            {"stage": job.stage + 1, "place": job.place, "repeat": job.repeat}
            | {key: value for key, value in result.items() if key != "right"}
            for job, result in sorted(results.items())
        ],
        "final": {name: value for name, value in final.items() if name != "test"},
        "test": final["test"],
        "costs": costs(study.stages, results, preparing, study.embedded_rows),
    }


def costs(
    stages: Sequence[StageConfig], results: Results, preparing: float, embedded_rows: int
) -> dict[str, Any]:
    """Return what the study cost, the training in full apart.

    Args:
        stages: The short ones.
        results: Of every job.
        preparing: Seconds before the first training, of the process that ended the study.
        embedded_rows: Rows that the frozen encoder embedded for the heads' start, once for all trainings.
    """
    short = [result for job, result in results.items() if job.stage < len(stages) and "seconds" in result]
    training = sum(result["seconds"]["training"] for result in short)
    total = preparing + sum(result["seconds"]["total"] for result in short)
    return {
        "epochs": sum(result["epochs_seen"] for result in short),
        "rows_seen": sum(result["rows_seen"] for result in short) + round(SCORED_ROW * embedded_rows),
        "seconds": {
            "training": round(training, 1),
            "preparing": round(preparing, 1),
            "total": round(total, 1),
        },
        "share_not_training": round(1 - training / total, 4) if total else 0.0,
        "final_seconds": results[Job(len(stages), 0)]["seconds"],
    }
