"""Where an evaluation is kept: its report, pages and scored rows, written together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import csv

from submillion.data import RawRows
from submillion.evaluation.options import Options
from submillion.evaluation.report import write_report
from submillion.evaluation.unlabelled import confidence_of
from submillion.reference import Look
from submillion.run import RunFolder, read_json, write_json, written_atomically, written_together
from submillion.scoring import Scores, write_scores

WRITTEN = ("report.html", "report.json", "predictions.parquet", "rows.csv", "confusion.png")
"""What an evaluation leaves in its folder."""


@contextmanager
def kept(folder: RunFolder, report: dict[str, Any], rows: RawRows, options: Options) -> Iterator[Path]:
    """Yield where to write beside the report, which comes last: what reads an evaluation looks for `report.json`.

    What stood in ``options.output`` stands until all of it is written; the report then says where that is.
    """
    destination = (
        Path(options.output)
        if options.output is not None
        else _destination(folder, rows, report["ordered_sha256"])
    )
    with written_together(destination, "report.json") as place:
        yield place
        _number_rows(report, rows.row_numbers)
        texts = dict(zip(rows.row_numbers, rows.texts, strict=True)) if options.has_texts else None
        write_report(place / "report.html", report, texts)
        write_json(place / "report.json", report)
    report["output"] = str(destination)


def keep_scored_rows(
    destination: Path,
    rows: RawRows,
    labels: np.ndarray,
    scores: Scores,
    look: Look,
    unlike: np.ndarray,
    record: dict[str, Any],
) -> None:
    """Write the scored rows, and a line for each to look at."""
    numbers = np.asarray(rows.row_numbers)
    write_scores(destination / "predictions.parquet", numbers, labels, scores, look.predictions)
    names = np.array(record["data"]["label_names"], dtype=object)
    confidence = confidence_of(scores.logits, record)
    table = pyarrow.table(
        {
            "row": numbers + 1,  # as messages and the page count them
            "predicted": names[scores.predictions].astype(str),
            "confidence": confidence.round(4),
            "unlike": unlike.round(4),
        }
    )
    with written_atomically(destination / "rows.csv") as temporary:
        csv.write_csv(table, temporary)


def _number_rows(report: dict[str, Any], row_numbers: Sequence[int]) -> None:
    """Name rows by their place in the data, counted from 0, as `predictions.parquet` does; rows were left out before."""
    for pair in report.get("confusions", ()):
        pair["rows"] = [row_numbers[row] for row in pair["rows"]]
    for row in report.get("most_unlike", ()):
        row["row"] = row_numbers[row["row"]]
    for group in report.get("groups", ()):
        group["examples"] = [row_numbers[row] for row in group["examples"]]


def _destination(folder: RunFolder, rows: RawRows, ordered_sha256: str) -> Path:
    """Return the folder of an evaluation: named after its data, told apart from other data of that name."""
    plain = folder.evaluation / _name_of(rows.source)
    if (
        not (plain / "report.json").is_file()
        or read_json(plain / "report.json")["ordered_sha256"] == ordered_sha256
    ):
        return plain
    return plain.with_name(f"{plain.name}-{ordered_sha256[:8]}")


def _name_of(source: str) -> str:
    """Return a folder name for a data source: its file's stem, or the safe characters of its name.

    >>> _name_of("data/reuters-r8-test.tab")
    'reuters-r8-test'
    >>> _name_of("hub:ag_news:default:test")
    'hub-ag_news-default-test'
    """
    stem = Path(source).stem if "/" in source or "." in source else source
    return (
        "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem).strip("-") or "data"
    )
