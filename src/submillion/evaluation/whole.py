"""A whole training, from a recipe and rows to a finished run folder with its figures; and one read of its test rows."""

from typing import Any

from rich.console import Console

from submillion.evaluation.on_data import evaluate_run
from submillion.evaluation.options import Options
from submillion.evaluation.validation import report_validation
from submillion.recipe import Recipe
from submillion.run import RunFolder, read_json
from submillion.training.prepare import Sources
from submillion.training.train import check_output, train_run


def train_whole(
    recipe: Recipe, sources: Sources, output: str, *, resume: bool, console: Console
) -> dict[str, Any]:
    """Train, measure on validation, mark the run finished, and return its `run.json`.

    Args are those of `submillion.training.train.train_run`.

    Raises:
        SubmillionError: Whatever a user can mend.
    """
    folder = RunFolder(output)
    check_output(folder, resume)  # before anything is made
    with folder.held():
        train_run(recipe, sources, output, resume=resume, console=console)
        with folder.failure_noted():
            report_validation(folder)
        return folder.finish(recipe.training.keep_checkpoints)


def train_once(recipe: Recipe, sources: Sources, folder: RunFolder, console: Console) -> dict[str, Any]:
    """Return the `run.json` of a finished run: of the one that stands, else of one trained or gone on with now."""
    if not folder.exists or folder.read()["status"] != "finished":
        return train_whole(recipe, sources, str(folder.path), resume=True, console=console)
    if not recipe.training.keep_checkpoints:
        folder.remove_checkpoints()  # a kill may have come before it
    return folder.read_finished()


def read_test_once(folder: RunFolder, test: Any) -> dict[str, Any]:
    """Return what a finished run came to on its test rows; after an interruption the report that stands is taken.

    Returns:
        ``n``, ``accuracy``, ``macro_f1`` and ``baselines`` of the report, ``reads`` of the labels so far, and where the
        ``report`` is.
    """
    report_json = folder.evaluation / "test" / "report.json"
    if not report_json.is_file():
        evaluate_run(folder.path, test, Options(output=report_json.parent))
    report = read_json(report_json)
    return {name: report[name] for name in ("n", "accuracy", "macro_f1", "baselines")} | {
        "reads": folder.read()["test_reads"],
        "report": str(report_json.absolute()),
    }
