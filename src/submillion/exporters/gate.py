"""The gate: an export answers as the run does, or it is not made.

The exported files are run by their own runtime, by the very lines of their README.
"""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from submillion.data.tokens import tokenize
from submillion.errors import RunError
from submillion.exporters.lines import Lines
from submillion.exporters.rows import GateRows
from submillion.exporters.source import Source
from submillion.model.build import quiet_transformers
from submillion.multi_label import is_exact
from submillion.scoring import MultiLabelScores, Scores, score


@dataclass(frozen=True)
class Bounds:
    """What a gate lets through.

    Attributes:
        tolerance: Largest difference of a logit, as a share of the standard deviation of the run's logits; inclusive.
        changed_labels: Largest share of rows whose label, or any of whose labels, changes; the rows allowed are rounded up.
    """

    tolerance: float
    changed_labels: float

    def allowed_changes(self, n_rows: int) -> int:
        """Return how many of so many rows may change their label.

        >>> EXACT.allowed_changes(256), INT8.allowed_changes(48), INT8.allowed_changes(256)
        (0, 1, 6)
        """
        return math.ceil(self.changed_labels * n_rows)


EXACT = Bounds(tolerance=1e-3, changed_labels=0.0)
"""For fp32: what rounding moves, with room; a label turns only where two logits, or a sigmoid and the threshold, are as close."""

INT8 = Bounds(tolerance=0.5, changed_labels=0.02)
"""For int8."""


@dataclass(frozen=True)
class Figures:
    """How far an export is from the run, over the rows compared.

    Attributes:
        rows: How many.
        rows_are: Which.
        spread_of_logits: Standard deviation of the run's.
        largest_difference: Of a logit, as a share of that spread.
        mean_difference: Of a logit without sign, likewise.
        largest_probability_difference: At the run's temperature.
        changed_labels: Rows whose label, or any of whose labels, changes.
        measure: What is called accuracy: of rows that may have several labels, exact match.
        accuracy_of_run: Where labels are known.
        accuracy_of_export: On the same rows.
        bounds: What was allowed.
        runs_in: Of OpenVINO, in what it computed, on this processor, what is not int8; None: fp32.
    """

    rows: int
    rows_are: str
    spread_of_logits: float
    largest_difference: float
    mean_difference: float
    largest_probability_difference: float
    changed_labels: int
    measure: str
    accuracy_of_run: float | None
    accuracy_of_export: float | None
    bounds: Bounds
    runs_in: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures, those with decimals to six significant digits."""
        return {
            name: float(f"{value:.6g}") if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }

    @property
    def sentence(self) -> str:
        """What a user is told."""
        accuracy = (
            ""
            if self.accuracy_of_run is None or self.accuracy_of_export is None
            else f"; {self.measure} {100 * self.accuracy_of_run:.1f} % of the run, {100 * self.accuracy_of_export:.1f} % of the export"
        )
        return (
            f"compared with the run in fp32 on {self.rows:,} rows ({self.rows_are}): logits differ by at most "
            f"{self.largest_difference:.2g} of their spread ({self.bounds.tolerance:g} allowed), labels on {self.changed_labels} "
            f"({self.bounds.allowed_changes(self.rows)} allowed){accuracy}"
        )


def compare(
    logits: np.ndarray,
    exported: np.ndarray,
    rows: GateRows,
    bounds: Bounds,
    *,
    temperature: float = 1.0,
    threshold: float | None = None,
) -> Figures:
    """Return how far ``exported`` logits are from the run's, both `[n, n_labels]`.

    Logits of one value alone have no spread: their differences are then taken as they are.

    Args:
        logits: The run's.
        exported: The export's.
        rows: What they were given for.
        bounds: What is allowed.
        temperature: What they are divided by before the softmax.
        threshold: Where rows may have several labels: the sigmoid from which on a label is given; else None.

    >>> rows = GateRows(["a", "b"], np.array([0, 1]), "two rows")
    >>> found = compare(np.eye(2), np.array([[1.0, 0.0], [0.6, 0.5]]), rows, EXACT)
    >>> found.changed_labels, found.largest_difference, found.accuracy_of_run, found.accuracy_of_export
    (1, 1.2, 1.0, 0.5)
    """

    def scored(of: np.ndarray) -> Scores:
        if threshold is None:
            return Scores(of / temperature, of[:, :0])
        return MultiLabelScores(of, of[:, :0], threshold)

    ours, theirs = scored(logits), scored(exported)
    spread = float(logits.std())
    difference = np.abs(exported - logits) / (spread or 1.0)
    accuracies = [
        None if rows.labels is None else float(is_exact(rows.labels, each.predictions).mean())
        for each in (ours, theirs)
    ]
    return Figures(
        rows=len(logits),
        rows_are=rows.name,
        spread_of_logits=spread,
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        largest_probability_difference=float(np.abs(theirs.probabilities - ours.probabilities).max()),
        changed_labels=int((~is_exact(ours.predictions, theirs.predictions)).sum()),
        measure="accuracy" if threshold is None else "exact match",
        accuracy_of_run=accuracies[0],
        accuracy_of_export=accuracies[1],
        bounds=bounds,
    )


def passed(source: Source, lines: Lines, folder: Path, rows: GateRows, bounds: Bounds) -> Figures:
    """Run an export by its README's own lines, and compare.

    Args:
        source: What was exported.
        lines: The README's.
        folder: The export, not yet at its place.
        rows: What is compared.
        bounds: What is allowed.

    Raises:
        RunError: If the export differs by more than is allowed.
    """
    saved = source.saved
    tokens = tokenize(saved.tokenizer, rows.texts, saved.max_length, saved.stride)
    logits = score(saved.model, tokens.input_ids).logits
    space: dict[str, Any] = {}
    with quiet_transformers():
        exec(compile(lines.code(str(folder)), "README.md", "exec"), space)
        exported = np.asarray(space["logits_of"](rows.plain_texts()))
    if exported.shape != logits.shape or not np.isfinite(exported).all():
        raise RunError(
            f"the {lines.format} export gives no logits of shape {logits.shape}: nothing was written; choose another format"
        )
    figures = compare(
        logits, exported, rows, bounds, temperature=source.temperature, threshold=saved.threshold
    )
    if "compiled" in space:
        figures = replace(
            figures, runs_in=space["compiled"].get_property("INFERENCE_PRECISION_HINT").to_string()
        )
    if figures.largest_difference > bounds.tolerance or figures.changed_labels > bounds.allowed_changes(
        figures.rows
    ):
        raise RunError(
            f"the {lines.format} export is refused, nothing was written: {figures.sentence}. "
            "Raise --tolerance or --changed-labels if that is good enough"
        )
    return figures
