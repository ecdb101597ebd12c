"""The adapter and TF-IDF answering together, on familiar and on shifted rows, by the models of `shift.py`.

    python benchmarks/shift_together.py              a minute, after shift.py, whose models it takes; hours without them
    python benchmarks/shift_together.py --summary    the tables, without computing

Their scores are added by weights (`WEIGHTS`) that are fitted on the run's calibration rows: as a run of this version has them for `submillion
predict RUN --using adapter_and_tfidf`, and for comparison the two that these are the mean of. Nothing is fitted on the rows that are scored.
Each model's pools of 1,050 rows of `shift_texts.py`, without the families of rows whose label the model lacks. A line a model.
"""

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt

import shift
import shift_texts
from record import append, lines, stands
from submillion.alternatives import PARTS, TOGETHER
from submillion.reference import read_look
from submillion.scoring import read_scores
from submillion.temperature import fit_temperatures
from submillion.together import best_pool_weights, fit_pool_weights, own_pool_weights, pooled

NAME = "shift_together"
TASKS = ("agnews", "20ng")
WEIGHTS = {
    "own temperatures": lambda scores, labels: own_pool_weights(fit_temperatures(scores, labels)),
    "lowest log loss": best_pool_weights,
    TOGETHER: fit_pool_weights,
}
ANSWERING = (*PARTS, *WEIGHTS)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for task in () if asked.summary else TASKS:
        for seed in shift.SEEDS:
            if not stands(NAME, task=task, seed=seed):
                append(NAME, accuracies(task, seed), task=task, seed=seed)
    print(summary())


def accuracies(task: str, seed: int) -> dict[str, Any]:
    """Return pool -> what answers -> its accuracy, in points of 100."""
    folder, pools = shift.scored(task, seed)
    held, look = read_scores(folder.scores("calibration")), read_look(folder.look("calibration"))
    known = {"adapter": held.scores.logits, **look.scores}
    weights, found = {name: fit(known, held.labels) for name, fit in WEIGHTS.items()}, {}
    for name, pool in pools.items():
        if name not in shift_texts.WITHOUT_TRUTH:
            scores = {"adapter": pool["logits"], "tfidf_svm": pool["look"].scores["tfidf_svm"]}
            scores |= {who: pooled(scores, of_each) for who, of_each in weights.items()}
            found[name] = {
                who: 100 * float(np.mean(values.argmax(axis=1) == pool["labels"]))
                for who, values in scores.items()
            }
    return found


def summary() -> str:
    """Return the tables in Markdown: means over seeds, and how much more right the two are together than the adapter alone."""
    text = []
    for title, wanted in (
        ("Development", shift_texts.DEVELOPMENT),
        ("Held out", shift_texts.HELD_OUT),
        ("Familiar", ("familiar",)),
    ):
        rows: dict[tuple[str, str], list[dict[str, float]]] = {}
        for line in lines(NAME):
            for name, of_pool in line["figures"].items():
                if name in wanted:
                    rows.setdefault((line["settings"]["task"], name), []).append(of_pool)
        if not rows:
            continue
        text += [
            f"| {title} | {' | '.join(ANSWERING)} | {' | '.join(f'{who}, minus the adapter (each seed)' for who in WEIGHTS)} |",
            "|---" * (1 + len(ANSWERING) + len(WEIGHTS)) + "|",
        ]
        gains = []
        for (task, name), found in rows.items():
            gains.append([[each[who] - each["adapter"] for each in found] for who in WEIGHTS])
            means = " | ".join(f"{np.mean([each[who] for each in found]):.1f}" for who in ANSWERING)
            text.append(f"| {task}: {name} | {means} | {_mean_and_each(gains[-1])} |")
        text += [f"| mean{' |' * len(ANSWERING)} | {_mean_and_each(np.mean(gains, axis=0))} |", ""]
    return "\n".join(text[:-1])


def _mean_and_each(gains: npt.ArrayLike) -> str:
    """Return a cell for each of `WEIGHTS` from gains `[n_weights, n_seeds]`."""
    cells = [
        f"{np.mean(each):+.2f} ({', '.join(f'{gain:+.1f}' for gain in each)})" for each in np.asarray(gains)
    ]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
