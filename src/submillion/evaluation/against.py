"""A second run on the rows of an evaluation, compared row by row."""

from pathlib import Path
from typing import Any

import numpy as np

from submillion.data import RawRows
from submillion.data.duplicates import text_hashes
from submillion.errors import ConfigError, DataError
from submillion.evaluation.label_reads import note_read
from submillion.evaluation.multi_label import with_threshold
from submillion.evaluation.options import Options
from submillion.evaluation.reading import encoded, read_as_trained
from submillion.multi_label import is_exact, thresholds_of
from submillion.prediction import load_adapter
from submillion.run import RunFolder
from submillion.scoring import Scores
from submillion.statistics import compare


class Other:
    """The run that is compared with, and the rows as it reads them.

    Raises:
        RunError: If it is no finished run.
        DataError: If it reads other rows of the data, or does not know a label.
    """

    def __init__(self, run: str | Path, data: Any, rows: RawRows, options: Options, several: int):
        self.folder = RunFolder(run)
        self.record = self.folder.read_finished()
        self.rows = read_as_trained(data, self.record, options.text_columns, options.label_column)
        self.labels = encoded(self.rows, self.record)
        if self.labels.ndim != several:
            raise ConfigError(
                f"{run} gives one label a row where the other run gives several, or the other way round: "
                "compare runs of one kind"
            )
        if self.rows.row_numbers != rows.row_numbers:
            raise DataError(f"{rows.source}: {run} reads other rows of it: name --text-columns")

    def compared(
        self,
        scores: Scores,
        labels: np.ndarray,
        report: dict[str, Any],
        record: dict[str, Any],
        encoder: str | None,
    ) -> dict[str, Any]:
        """Return the verdict between the first run's scores and this one's, whose read of a test split is noted."""
        run, first = str(self.folder.path), report["run"]
        hashes = text_hashes(self.rows.texts)
        note_read(self.folder, self.record, self.rows, hashes, f"compared by evaluate with {first}")
        shares_base = encoder is not None and self.record["encoder"] == record["encoder"]
        theirs = load_adapter(run, encoder=encoder if shares_base else None).scores(self.rows.texts)
        verdict = compare(
            is_exact(labels, scores.predictions),
            is_exact(self.labels, with_threshold(theirs, thresholds_of(self.record)).predictions),
            margin=record["recipe"]["evaluation"]["margin"] / 100,
            names=(first, run),
        )
        return {"run": run, "verdict": verdict.to_json()}
