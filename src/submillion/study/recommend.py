"""Which candidate to take: the smallest that the rows do not show to be worse than the best by the margin."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from submillion.statistics import differences_to_best, wilson_interval


@dataclass(frozen=True)
class Judged:
    """A candidate of the last stage.

    Attributes:
        number: The candidate's.
        name: What tables call it.
        trainable_parameters: What it trains.
        rows_seen: What its training cost; of two that train as many parameters the cheaper one is preferred. Rows, not
            seconds: these are others each time.
        right: Which of the rows held back it has right, `[n]`; with several seeds the mean.
    """

    number: int
    name: str
    trainable_parameters: int
    rows_seen: int
    right: np.ndarray


@dataclass(frozen=True)
class Recommendation:
    """What a study recommends.

    Attributes:
        number: The recommended candidate's.
        best: The candidate with the highest accuracy on the rows held back.
        reason: Why, in plain English.
        optimistic: What is wrong with the best one's figure.
        rows_needed: Rows held back that would do to prefer a smaller one; None where one is preferred already, or none is
            smaller, or no number would.
        ranking: All candidates of the last stage, best first, as `study.json` has them.
    """

    number: int
    best: int
    reason: str
    optimistic: str
    rows_needed: int | None
    ranking: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it for `study.json`."""
        return asdict(self) | {"ranking": list(self.ranking)}


def recommend(judged: Sequence[Judged], n_candidates: int, margin: float, seed: int) -> Recommendation:
    """Return the smallest candidate whose difference to the best is shown to be above ``-margin``.

    Smallest: fewest trainable parameters, then fewest rows seen, then the higher accuracy. The lower ends hold for all
    candidates at once (`submillion.statistics.differences_to_best`). Where no smaller one can be shown to be as good, the
    best is recommended.

    Args:
        judged: At least one, all on the same rows.
        n_candidates: How many the best one has won against, and itself: those of the first stage.
        margin: The difference in accuracy that matters, a share.
        seed: Of the bootstrap.
    """
    found = differences_to_best(np.stack([each.right for each in judged]), seed)
    best = min(
        (place for place in range(len(judged)) if found.differences[place] == 0),
        key=lambda place: _size(judged[place]),
    )
    fit = [place for place in range(len(judged)) if place == best or found.lows[place] > -margin]
    chosen = min(fit, key=lambda place: (*_size(judged[place]), -float(found.differences[place])))
    smaller = [place for place in range(len(judged)) if _size(judged[place]) < _size(judged[best])]
    needed = None
    if chosen == best:
        enough = [rows for place in smaller if (rows := found.rows_needed(place, margin)) is not None]
        needed = min(enough, default=None)
    return Recommendation(
        number=judged[chosen].number,
        best=judged[best].number,
        reason=_reason(judged[chosen], judged[best], found, chosen, margin, needed, bool(smaller)),
        optimistic=(
            f"chosen on these rows as the best of {n_candidates} candidates, so its figure is optimistic"
            if n_candidates > 1
            else "the epoch was chosen on the validation rows among these"
        ),
        rows_needed=needed,
        ranking=tuple(
            _line(judged[place], found, place, margin)
            for place in sorted(range(len(judged)), key=lambda place: -float(found.differences[place]))
        ),
    )


def _size(each: Judged) -> tuple[int, int]:
    return each.trainable_parameters, each.rows_seen


def _line(each: Judged, found: Any, place: int, margin: float) -> dict[str, Any]:
    n, mean = len(each.right), float(each.right.mean())
    low = float(found.lows[place])
    verdict = (
        "the best"
        if found.differences[place] == 0
        else f"not worse by {100 * margin:g} points"
        if low > -margin
        else "not shown to be as good"
    )
    return {
        "number": each.number,
        "name": each.name,
        "trainable_parameters": each.trainable_parameters,
        "accuracy": wilson_interval(round(mean * n), n).to_json(),
        "difference": float(found.differences[place]),
        "low": low,
        "verdict": verdict,
    }


def _reason(
    chosen: Judged, best: Judged, found: Any, place: int, margin: float, needed: int | None, has_smaller: bool
) -> str:
    points = f"{100 * margin:g} points"
    if chosen is not best:
        return (
            f"candidate {chosen.number} ({chosen.name}) trains {chosen.trainable_parameters:,} parameters, "
            f"{chosen.trainable_parameters / best.trainable_parameters:.0%} of the {best.trainable_parameters:,} of the best "
            f"one, candidate {best.number}; on {found.n:,} rows held back it is {-100 * found.differences[place]:.1f} points "
            f"below it, and with 95 % confidence over all candidates at once less than {points} "
            f"({-100 * found.lows[place]:.2f})"
        )
    text = f"candidate {best.number} ({best.name}) has the highest accuracy on {found.n:,} rows held back"
    if not has_smaller:
        return f"{text}, and none is smaller"
    if needed is None:
        return f"{text}, and every smaller one is at least {points} below it"
    return (
        f"{text}; no smaller one is shown to be within {points} of it: about {needed:,} rows held back would do, if the "
        "differences stay what they are"
    )
