"""What can be said of rows without their labels: the accuracy to expect, the share unlike training, which rows those are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.baselines import Baselines
from submillion.evaluation.affinity import AnsweredRows, affinity_to_labels
from submillion.evaluation.expected import expect
from submillion.evaluation.groups import Group, find_groups
from submillion.evaluation.unlike import MIN_ROWS, Unlike, columns_of, find_unlike
from submillion.reference import Look, read_look, rows_with_word
from submillion.run import RunFolder
from submillion.scoring import ScoredRows, Scores, read_scores
from submillion.temperature import probabilities_at, temperature_of

N_MOST_UNLIKE = 10
"""Rows shown as the most unlike ones."""

HELD_BACK = ("calibration", "validation")


@dataclass(frozen=True)
class Known:
    """The rows that a run remembers.

    Attributes:
        scored: Those held back, with labels and scores, a part for each split.
        looks: Split -> how its rows look; train last. Empty for a run of an earlier version.
    """

    scored: tuple[ScoredRows, ...]
    looks: Mapping[str, Look]

    @classmethod
    def of(cls, folder: RunFolder) -> "Known":
        """Read what a run remembers.

        Raises:
            RunError: If a file is damaged.
        """
        held = [split for split in HELD_BACK if folder.scores(split).is_file()]
        return cls(
            tuple(read_scores(folder.scores(split)) for split in held),
            {
                split: read_look(folder.look(split))
                for split in (*held, "train")
                if folder.look(split).is_file()
            },
        )

    def confidence(self, record: Mapping[str, Any]) -> np.ndarray:
        """Return the confidence of each row held back, `[m]`."""
        return _joined([confidence_of(part.scores.logits, record) for part in self.scored])

    @property
    def right(self) -> np.ndarray:
        """Whether each row held back is labelled rightly, `[m]` of bool."""
        return _joined([part.scores.predictions == part.labels for part in self.scored]).astype(bool)

    @property
    def columns(self) -> np.ndarray:
        """What tells rows from new ones, of all remembered, `[n, width + 8]`."""
        return _joined([columns_of(look) for look in self.looks.values()])

    def affinity(self, predictions: np.ndarray, look: Look, unlike: Unlike) -> float | None:
        """Return how near the unlike ones of new rows lie to the labels; None where there are none, or nothing is known.

        Args:
            predictions: The adapter's labels of the new rows, `[n]` int64.
            look: How these look.
            unlike: How far each is unlike the known ones.
        """
        looks = [each.frozen for split, each in self.looks.items() if split != "train"]
        is_any = np.square(unlike.scores).sum() >= 1  # one row that is surely unlike, or many that may be
        if not looks or len(looks) != len(self.scored) or not is_any:
            return None
        known = AnsweredRows(_joined(looks), _joined([part.scores.predictions for part in self.scored]))
        labels = _joined([part.labels for part in self.scored])
        if len(np.unique(labels)) < 2:  # one centre gives no direction to look in
            return None
        return affinity_to_labels(known, labels, AnsweredRows(look.frozen, predictions), unlike.scores)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


def foresee(
    folder: RunFolder,
    record: Mapping[str, Any],
    texts: Sequence[str],
    scores: Scores,
    look: Look,
    baselines: Baselines,
) -> tuple[dict[str, Any], np.ndarray]:
    """Return what can be said of new rows without their labels, ready for JSON, and how unlike training each is, `[n]`.

    Args:
        folder: The run.
        record: Its `run.json`.
        texts: The new rows `[n]`.
        scores: The adapter's, on them.
        look: How they look.
        baselines: The run's.
    """
    known, seed = Known.of(folder), record["recipe"]["seed"]
    confidence = confidence_of(scores.logits, record)
    unlike, why_not = _unlike(known, look, seed)
    names = record["data"]["label_names"]
    affinity = None if unlike is None else known.affinity(scores.predictions, look, unlike)
    said = expect(known.confidence(record), known.right, confidence, unlike, seed, affinity).to_json()
    said |= {
        "ood_share": None
        if unlike is None
        else unlike.share.to_json() | {"at_least": unlike.at_least, "separation": unlike.separation},
        "ood_note": why_not,
        "predicted_shares": _shares(scores.predictions, record),
        "agreement": _agreement(scores, look, known),
        "most_unlike": [],
        "groups": [],
    }
    if unlike is None:
        return said, np.full(len(texts), np.nan)
    most = np.argsort(-unlike.scores, kind="stable")[:N_MOST_UNLIKE]
    said["most_unlike"] = [
        {
            "row": int(row),
            "score": round(float(unlike.scores[row]), 4),
            "predicted": names[scores.predictions[row]],
            "confidence": round(float(confidence[row]), 4),
        }
        for row in most
        if unlike.scores[row] > 0
    ]
    # Where the share may well be 0, the rows that look most unlike are those that chance made so.
    groups = _groups(known, texts, unlike, look, baselines, seed) if unlike.share.low > 0 else []
    said["groups"] = [_described(group, len(texts), scores.predictions, names) for group in groups]
    return said, unlike.scores


def confidence_of(logits: np.ndarray, record: Mapping[str, Any]) -> np.ndarray:
    """Return the largest probability of each row, `[n]`, at the temperature of the run."""
    return np.asarray(probabilities_at(logits, temperature_of(record, "adapter")).max(axis=1))


def _unlike(known: Known, look: Look, seed: int) -> tuple[Unlike | None, str | None]:
    """Return how far the rows are unlike those that the run remembers, or why that cannot be said."""
    if not known.looks:
        return None, "the run was made by an earlier version, which remembered no rows: train it again"
    columns = known.columns
    if min(len(columns), len(look)) < MIN_ROWS:
        counts = f"{len(columns):,} rows are remembered and {len(look):,} are new"
        return None, f"{counts}: at least {MIN_ROWS} of each are needed"
    return find_unlike(columns, columns_of(look), seed), None


def _shares(predictions: np.ndarray, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how often each label is predicted here, beside its share of the train rows."""
    of_train = record["data"]["splits"]["train"]["rows_per_class"]
    n_train = sum(of_train.values())
    counts = np.bincount(predictions, minlength=len(record["data"]["label_names"]))
    return [
        {"label": name, "new": int(n) / len(predictions), "training": of_train[name] / n_train}
        for name, n in zip(record["data"]["label_names"], counts, strict=True)
    ]


def _agreement(scores: Scores, look: Look, known: Known) -> list[dict[str, Any]]:
    """Return how often the adapter says what each baseline says, here and on the rows held back."""
    found = []
    for name, predictions in look.predictions.items():
        if name == "majority":
            continue
        on_known = [
            each.scores.predictions == each.baseline_predictions[name]
            for each in known.scored
            if name in each.baseline_predictions
        ]
        found.append(
            {
                "with": name,
                "here": float((scores.predictions == predictions).mean()),
                "on_known": float(np.concatenate(on_known).mean()) if on_known else None,
            }
        )
    return found


def _groups(
    known: Known, texts: Sequence[str], unlike: Unlike, look: Look, baselines: Baselines, seed: int
) -> list[Group]:
    train = known.looks.get("train")
    if train is None:
        return []
    shares = {word: n / baselines.n_rows for word, n in rows_with_word(baselines).items()}
    return find_groups(
        texts,
        unlike.scores,
        look.frozen,
        look.surface,
        train.surface,
        shares,
        frozenset(train.characters),
        seed,
    )


def _described(group: Group, n_rows: int, predictions: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    predicted = Counter(predictions[group.rows].tolist()).most_common(3)
    return group.to_json() | {
        "share": len(group.rows) / n_rows,
        "predicted": [{"label": names[label], "n": n} for label, n in predicted],
    }
