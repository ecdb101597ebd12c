"""A whole training: from a recipe and rows to a finished run folder with its validation figures."""

from typing import Any

from rich.console import Console

from submillion.evaluation.validation import report_validation
from submillion.recipe import Recipe
from submillion.run import RunFolder
from submillion.training.prepare import Sources
from submillion.training.train import train_run


def train_whole(
    recipe: Recipe, sources: Sources, output: str, *, resume: bool, console: Console
) -> dict[str, Any]:
    """Train, measure on validation, mark the run finished, and return its `run.json`.

    Args are those of `submillion.training.train.train_run`.

    Raises:
        SubmillionError: Whatever a user can mend.
    """
    folder = RunFolder(output)
    train_run(recipe, sources, output, resume=resume, console=console)
    with folder.failure_noted():
        report_validation(folder)
    return folder.finish(recipe.training.keep_checkpoints)
