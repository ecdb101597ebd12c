"""What an evaluation may be asked for, besides the run and the rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """How rows are read, what is measured on them, and where the report goes.

    Attributes:
        against: A second finished run, compared row by row on labelled rows.
        output: Where the report goes; default: a folder in the run, named after the data.
        text_columns: Where the text stands; default: where it stood in training, else by its usual names.
        label_column: Where the label stands; default: where it stood in training, else by its usual names.
        encoder: The folder or hub id of the run's base, where it now lies elsewhere.
        unlabelled: Do not read the labels, if there are any.
        slices: Further columns: accuracy is given by each value of them.
        wanted_accuracy: Ask from which confidence on so large a share of labelled rows is right; between 0 and 1 exclusive.
        has_texts: Whether `report.html` shows texts.
        corrupt: Measure also how accuracy falls as the texts get worse; see `submillion.evaluation.corrupt`.
        say: Told what that will cost, before it starts.
    """

    against: str | Path | None = None
    output: str | Path | None = None
    text_columns: Sequence[str] | None = None
    label_column: str | None = None
    encoder: str | None = None
    unlabelled: bool = False
    slices: Sequence[str] = ()
    wanted_accuracy: float | None = None
    has_texts: bool = True
    corrupt: bool = False
    say: Callable[[str], None] | None = None
