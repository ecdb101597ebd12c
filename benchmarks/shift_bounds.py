"""Lower bounds of the share of rows unlike training, beside ours: distribution-free ones by closed testing.

    python benchmarks/shift_bounds.py              some minutes on one core, after shift.py, whose models it takes
    python benchmarks/shift_bounds.py --summary    the table, without computing

Magnani, Sesia and Solari 2023 (arXiv:2308.05534): the least number of new rows that are not drawn as known ones are, by closed testing
with the rank sum of Wilcoxon, Mann and Whitney, or with Simes' test of conformal p-values (Hommel's number). Both at 95 %, on the scores that
ours has: how much likelier a row is new than known, cross-fitted. A line a cell.
"""

import argparse

import numpy as np

import shift
import shift_texts
from record import append, lines
from submillion.evaluation.unlike import cross_fitted

NAME = "shift_bounds"
LEVEL, Z = 0.05, 1.645
OURS = "best bin (ours)"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for settings, known, new, seed in () if asked.summary else shift.columns_of_cells(NAME):
        scores = cross_fitted(known, new, seed)
        append(NAME, {"rank sum": by_rank_sum(*scores), "Simes": by_simes(*scores)}, **settings)
    print(summary())


def by_rank_sum(known: np.ndarray, new: np.ndarray) -> float:
    """Return the bound by the rank sum: of so many new rows the lowest are those that a test rejects last.

    Args:
        known: Scores of known rows `[m]`, high for what looks new.
        new: The same of new rows `[n]`.

    >>> rng = np.random.default_rng(0)
    >>> by_rank_sum(rng.normal(size=500), np.r_[rng.normal(size=300), rng.normal(9, 1, size=100)]) <= 0.25
    True
    """
    ordered, lowest = np.sort(known), np.sort(new)
    below = (np.searchsorted(ordered, lowest, "left") + np.searchsorted(ordered, lowest, "right")) / 2
    m, n = len(known), np.arange(1, len(new) + 1)
    standard = (np.cumsum(below) - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
    kept = np.flatnonzero(standard <= Z)
    return float(1 - (kept[-1] + 1 if len(kept) else 0) / len(new))


def by_simes(known: np.ndarray, new: np.ndarray) -> float:
    """Return the bound by Simes' test: the new rows beyond Hommel's number."""
    m = len(known)
    p = np.sort((1 + m - np.searchsorted(np.sort(known), new, "left")) / (m + 1))
    n = len(p)
    for size in range(n, 0, -1):
        ranks = np.arange(1, size + 1)
        if np.all(p[n - size :] > ranks * LEVEL / size):
            return 1 - size / n
    return 1.0


def summary() -> str:
    """Return the table in Markdown."""
    found = {tuple(line["settings"].values()): line["figures"] for line in lines(NAME)}
    cells = [
        (line["settings"], found[key] | {OURS: line["figures"]["unlike"]["at_least"]})
        for line in lines(shift.NAME)
        if (key := tuple(line["settings"].values())) in found
    ]
    text = [
        f"| cells | bound | holds | {' | '.join(f'mean, of {100 * share:.0f} %' for share in shift.SHARES)} |",
        "|---|---|---|" + "---|" * len(shift.SHARES),
    ]
    for title, families in (("development", shift_texts.DEVELOPMENT), ("held out", shift_texts.HELD_OUT)):
        mine = [cell for cell in cells if cell[0]["family"] in families]
        for name in (OURS, "rank sum", "Simes") if mine else ():
            holds = sum(figures[name] <= settings["share"] for settings, figures in mine)
            means = (
                np.mean([figures[name] for settings, figures in mine if settings["share"] == share])
                for share in shift.SHARES
            )
            text.append(
                f"| {title} | {name} | {holds} of {len(mine)} | {' | '.join(f'{100 * mean:.1f}' for mean in means)} |"
            )
    return "\n".join(text)


if __name__ == "__main__":
    main()
