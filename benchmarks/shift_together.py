"""The adapter and TF-IDF answering together, on familiar and on shifted rows, by the models of `shift.py`.

    python benchmarks/shift_together.py              a minute, after shift.py, whose models it takes; hours without them
    python benchmarks/shift_together.py --summary    the tables, without computing

Their scores are added (`submillion predict RUN --using adapter_and_tfidf`) by the weights that were fitted on the run's calibration rows, and, for
comparison, each at its own temperature; nothing is fitted on the rows that are scored.
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
from submillion.together import by_own_temperatures, pooled, weights_of

NAME = "shift_together"
TASKS = ("agnews", "20ng")
OWN = "each at its own temperature"
ALONE, ADDED = PARTS[0], (OWN, TOGETHER)
ANSWERING = (*PARTS, *ADDED)


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
    record, found = folder.read_finished(), {}
    weights = weights_of(record)
    assert weights is not None, "these models hold calibration rows back"
    for name, pool in pools.items():
        if name not in shift_texts.WITHOUT_TRUTH:
            scores = {ALONE: pool["logits"], "tfidf_svm": pool["look"].scores["tfidf_svm"]}
            scores |= {
                OWN: pooled(scores, by_own_temperatures(record["temperatures"])),
                TOGETHER: pooled(scores, weights),
            }
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
            f"| {title} | {' | '.join(ANSWERING)} | {' | '.join(f'{who}, minus the adapter (each seed)' for who in ADDED)} |",
            "|---|---|---|---|---|---|---|",
        ]
        gains = []
        for (task, name), found in rows.items():
            gains.append([[each[who] - each[ALONE] for each in found] for who in ADDED])
            means = " | ".join(f"{np.mean([each[who] for each in found]):.1f}" for who in ANSWERING)
            text.append(f"| {task}: {name} | {means} | {_mean_and_each(gains[-1])} |")
        text += [f"| mean | | | | | {_mean_and_each(np.mean(gains, axis=0))} |", ""]
    return "\n".join(text[:-1])


def _mean_and_each(gains: npt.ArrayLike) -> str:
    """Return two cells, of `ADDED`, from gains `[2, n_seeds]`."""
    cells = [
        f"{np.mean(each):+.2f} ({', '.join(f'{gain:+.1f}' for gain in each)})" for each in np.asarray(gains)
    ]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
