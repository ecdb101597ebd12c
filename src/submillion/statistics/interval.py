"""A figure with the interval around it, what that covers, and the checks that all intervals share."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

COVERS_ROWS = "rows drawn anew from the same source; not a new training seed"

COVERS_SAME_SIZES = (
    "rows drawn anew from the same source, with as many rows of each class; not a new training seed"
)

COVERS_DIFFERENCE = (
    "rows drawn anew from the same source, for these two models; not a new training seed of either"
)


def percent(figure: Mapping[str, float]) -> str:
    """Return a share with its interval, as records keep them, in percent.

    >>> percent({"value": 0.942, "low": 0.931, "high": 0.951})
    '94.2 (93.1 to 95.1)'
    """
    return f"{100 * figure['value']:.1f} ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"


@dataclass(frozen=True)
class Interval:
    """A figure, the interval around it, and what that interval covers.

    Attributes:
        value: The figure itself, a share (0.942, not 94.2).
        low: Lower end, never above ``value``.
        high: Upper end, never below ``value``.
        covers: One phrase: which repetition of the experiment the interval speaks of.
        level: Nominal coverage.
    """

    value: float
    low: float
    high: float
    covers: str
    level: float = 0.95

    def to_json(self) -> dict[str, float | str]:
        """Return the figure as it stands in ``report.json``.

        >>> sorted(Interval(0.9, 0.8, 0.95, "new rows").to_json())
        ['covers', 'high', 'level', 'low', 'value']
        """
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "covers": self.covers,
        }

    def percent(self) -> str:
        """Return a share in percent, one decimal.

        >>> Interval(0.942, 0.931, 0.951, "new rows").percent()
        '94.2 % (93.1 to 95.1)'
        """
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"

    def points(self) -> str:
        """Return a difference of shares in percentage points, signed.

        >>> Interval(0.028, 0.019, 0.037, "new rows").points()
        '+2.8 points (+1.9 to +3.7)'
        """
        return f"{_points(self.value)} points ({_points(self.low)} to {_points(self.high)})"


def z_of_level(level: float) -> float:
    """Return how many standard errors a two-sided normal interval of this coverage reaches to either side.

    >>> round(z_of_level(0.95), 2)
    1.96
    """
    return NormalDist().inv_cdf(0.5 + level / 2)


def check_counts(successes: int, n: int) -> None:
    """Raise ValueError unless ``n`` is at least 1 and ``successes`` from 0 to ``n``, both inclusive."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes={successes}, n={n}: need n >= 1 and 0 <= successes <= n")


def check_level(level: float) -> None:
    """Raise ValueError unless a coverage lies between 0 and 1, both exclusive."""
    check_share("level", level)


def check_share(name: str, value: float) -> None:
    """Raise ValueError, by ``name``, unless ``value`` lies between 0 and 1, both exclusive."""
    if not 0 < value < 1:
        raise ValueError(f"{name}={value}: need a share between 0 and 1, both exclusive")


def _points(share: float) -> str:
    rounded = round(100 * share, 1) + 0.0  # no "-0.0"
    return f"{rounded:+.1f}"
