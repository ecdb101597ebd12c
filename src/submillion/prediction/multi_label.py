"""A trained classifier whose texts may have several labels, loaded; and how its predictions are written."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from submillion.data.given_texts import given_texts
from submillion.data.multi_label import LabelColumn, SeveralLabels
from submillion.errors import ConfigError
from submillion.prediction.formats import text_file
from submillion.prediction.predictor import Predictor
from submillion.recipe import DataConfig
from submillion.scoring import MultiLabelScores, Scores

SEPARATOR = "|"
"""Stands between labels in a CSV file."""


class MultiLabelPredictor(Predictor):
    """A classifier that gives each text any number of labels.

    Args:
        threshold: The sigmoid from which on a label is given.
        arguments: As `Predictor` takes them.
        named: The same.
    """

    def __init__(self, *arguments: Any, threshold: float, **named: Any):
        super().__init__(*arguments, **named)
        self.threshold = threshold

    def scores(self, texts: Iterable[Any]) -> Scores:
        """Return logits and pooled embeddings of texts, in their order."""
        scores = super().scores(texts)
        return MultiLabelScores(scores.logits, scores.embeddings, self.threshold)

    def predict(self, texts: Iterable[Any]) -> list[Any]:
        """Return the label names of each text, a list that may be empty."""
        texts = given_texts(texts)
        return [self.named(row) for row in self.scores(texts).predictions] if texts else []

    def named(self, decisions: np.ndarray) -> list[str]:
        """Return the names of the labels that are given, of 0 and 1 `[n_labels]`."""
        return [self.label_names[label] for label in np.flatnonzero(decisions).tolist()]

    def answers(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return each text with its labels and every label's probability, ready for JSON."""
        if not len(texts):
            return []
        scores = self.scores(texts)
        return [
            {
                "text": text,
                "labels": self.named(decisions),
                "probabilities": dict(zip(self.label_names, row.round(4).tolist(), strict=True)),
            }
            for text, decisions, row in zip(texts, scores.predictions, scores.probabilities, strict=True)
        ]

    @contextmanager
    def _writer(self, format: str, path: Path | None) -> Iterator[Callable[[int, Scores], None]]:
        """Yield the function that appends scored rows: in CSV the labels are joined by `SEPARATOR`, else a list."""
        if format == "submission":
            raise ConfigError(
                "format=submission holds one label a row, and this run gives several: use csv, jsonl or parquet"
            )
        columns = ["row", "labels", *(f"probability_{name}" for name in self.label_names)]
        if format == "parquet":
            types = [
                pyarrow.int64(),
                pyarrow.list_(pyarrow.string()),
                *[pyarrow.float64()] * len(self.label_names),
            ]
            schema = pyarrow.schema(list(zip(columns, types, strict=True)))
            with parquet.ParquetWriter(sys.stdout.buffer if path is None else path, schema) as file:
                yield lambda start, scores: file.write_table(
                    pyarrow.Table.from_pylist(
                        [dict(zip(columns, row, strict=True)) for row in self._rows(start, scores)],
                        schema=schema,
                    )
                )
            return
        if format == "csv" and (odd := [name for name in self.label_names if SEPARATOR in name]):
            raise ConfigError(
                f"label {odd[0]!r} holds {SEPARATOR!r}, which stands between labels in a CSV file: use --format jsonl or parquet"
            )
        with text_file(path) as file:
            if format == "jsonl":
                yield lambda start, scores: file.writelines(
                    json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n"
                    for row in self._rows(start, scores)
                )
                return
            table = csv.writer(file, lineterminator="\n")
            table.writerow(columns)
            yield lambda start, scores: table.writerows(
                [row, SEPARATOR.join(labels), *probabilities]
                for row, labels, *probabilities in self._rows(start, scores)
            )

    def _rows(self, start: int, scores: Scores) -> Iterator[list[Any]]:
        """Yield row number, label names and all probabilities, rounded to six places."""
        probabilities = scores.probabilities.round(6).tolist()
        for index, (decisions, row) in enumerate(zip(scores.predictions, probabilities, strict=True)):
            yield [start + index, self.named(decisions), *row]

    def _notes(self, format: str) -> tuple[str, ...]:
        return (f"a label is given from a probability of {self.threshold:.3g} on; a row may have none",)


def label_place(data: DataConfig) -> LabelColumn:
    """Return where labels stood in training, so that they are not taken for texts."""
    if data.label_columns is not None:
        return SeveralLabels(columns=data.label_columns)
    return data.label_column
