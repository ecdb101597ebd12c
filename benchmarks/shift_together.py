"""The adapter and TF-IDF answering together, on familiar and on shifted rows, by the models of `shift.py`.

    python benchmarks/shift_together.py              a minute, after shift.py, whose models it takes; hours without them
    python benchmarks/shift_together.py --summary    the tables, without computing

Their scores, each at its temperature, are added (`submillion predict RUN --using adapter_and_tfidf`); nothing is fitted on the rows that are scored.
Each model's pools of 1,050 rows of `shift_texts.py`, without the families of rows whose label the model lacks. A line a model.
"""

import argparse
from typing import Any

import numpy as np

import shift
import shift_texts
from record import append, lines, stands
from submillion.alternatives import PARTS, TOGETHER
from submillion.together import pooled, temperatures_of_parts

NAME = "shift_together"
TASKS = ("agnews", "20ng")
ALONE, ANSWERING = PARTS[0], (*PARTS, TOGETHER)


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
    temperatures, found = temperatures_of_parts(folder.read_finished()), {}
    assert temperatures is not None, "these models hold calibration rows back"
    for name, pool in pools.items():
        if name not in shift_texts.WITHOUT_TRUTH:
            scores = {ALONE: pool["logits"], "tfidf_svm": pool["look"].scores["tfidf_svm"]}
            scores[TOGETHER] = pooled(scores, temperatures)
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
            f"| {title} | {' | '.join(ANSWERING)} | together, minus the adapter (each seed) |",
            "|---|---|---|---|---|",
        ]
        gains = []
        for (task, name), found in rows.items():
            gain = [each[TOGETHER] - each[ALONE] for each in found]
            gains.append(gain)
            means = " | ".join(f"{np.mean([each[who] for each in found]):.1f}" for who in ANSWERING)
            text.append(
                f"| {task}: {name} | {means} | {np.mean(gain):+.2f} ({', '.join(f'{each:+.1f}' for each in gain)}) |"
            )
        mean = np.mean(gains, axis=0)
        text += [
            f"| mean | | | | {mean.mean():+.2f} ({', '.join(f'{each:+.1f}' for each in mean)}) |",
            "",
        ]
    return "\n".join(text[:-1])


if __name__ == "__main__":
    main()
