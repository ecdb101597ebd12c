"""(TED)^n beside the best bin: the share of rows unlike training by a classifier that is fitted again and again.

    python benchmarks/shift_ted.py              about a quarter of an hour on one core, after shift.py, whose models it takes
    python benchmarks/shift_ted.py --summary    the table, without computing

Transform, estimate, discard (Garg et al. 2021, arXiv:2111.00980, algorithms 2 and 3): the classifier that tells new rows from known ones is
fitted, the share of new rows that could be known is estimated by the best bin, and so many of the new rows, those that
look most known, are left out of the next fit. Ours stops after the first. The paper trains a network for one epoch between two estimates;
here the linear classifier is fitted whole each time. The same cells, columns, folds and classifier as
`submillion.evaluation.unlike`; a line a cell.
"""

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

import shift
import shift_texts
from record import append, lines
from submillion.evaluation.unlike import LIMIT, N_FOLDS, C, best_bin

NAME = "shift_ted"
ROUNDS = 10


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for settings, known, new, seed in () if asked.summary else shift.columns_of_cells(NAME):
        shares = estimates(known, new, seed)
        append(NAME, {"shares": [round(share, 5) for share in shares]}, **settings)
    print(summary())


def estimates(known: np.ndarray, new: np.ndarray, seed: int) -> list[float]:
    """Return the share of new rows unlike known ones after each round; the first is ours.

    Args:
        known: Columns of known rows, `[m, d]`.
        new: The same of new rows, `[n, d]`.
        seed: Of the folds.
    """
    mean, deviation = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-6)
    rows = np.clip((np.concatenate([known, new]) - mean) / deviation, -LIMIT, LIMIT)
    origin = np.r_[np.zeros(len(known)), np.ones(len(new))]
    folds = list(StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(rows, origin))
    is_kept, shares = np.ones(len(rows), dtype=bool), list[float]()
    for _ in range(ROUNDS):
        odds = np.empty(len(rows))
        for fitted, left_out in folds:
            kept = fitted[is_kept[fitted]]
            if len(np.unique(origin[kept])) < 2:  # no new row is left to be told from known ones
                return shares
            classifier = LogisticRegression(C=C, max_iter=1000, class_weight="balanced")
            classifier.fit(rows[kept], origin[kept])
            odds[left_out] = classifier.decision_function(rows[left_out])
        of_new = odds[len(known) :]
        familiar, _ = best_bin(odds[: len(known)], of_new)
        shares.append(1 - familiar)
        most_known = np.argsort(of_new)[: round(familiar * len(new))]
        is_kept[:] = True
        is_kept[len(known) + most_known] = False
    return shares


def summary() -> str:
    """Return the table in Markdown."""
    found = {tuple(line["settings"].values()): line["figures"]["shares"] for line in lines(NAME)}
    cells = [
        (line["settings"], line["figures"], found[tuple(line["settings"].values())])
        for line in lines(shift.NAME)
        if tuple(line["settings"].values()) in found
    ]
    text = [
        "| cells | score | share unlike, mean absolute error | bias | where the origin is told apart (AUC 0.95 and more): error (largest) |",
        "|---|---|---|---|---|",
    ]
    for title, families in (("development", shift_texts.DEVELOPMENT), ("held out", shift_texts.HELD_OUT)):
        mine = [cell for cell in cells if cell[0]["family"] in families]
        told = np.array([(figures["origin_auc"] or 0) >= 0.95 for _, figures, _ in mine])
        truth = np.array([settings["share"] for settings, _, _ in mine])
        rounds = {"first round (ours)": 0, "two rounds": 1, f"{ROUNDS} rounds": ROUNDS - 1}
        for name, place in rounds.items() if mine else ():
            errors = 100 * (np.array([shares[min(place, len(shares) - 1)] for _, _, shares in mine]) - truth)
            text.append(
                f"| {title}, {len(mine)} | {name} | {np.abs(errors).mean():.1f} | {errors.mean():+.1f} "
                f"| {np.abs(errors[told]).mean():.1f} ({np.abs(errors[told]).max():.1f}) |"
            )
    return "\n".join(text)


if __name__ == "__main__":
    main()
