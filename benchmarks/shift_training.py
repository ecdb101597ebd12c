"""The training keys that may hold under shift, each beside the default recipe: accuracy on familiar and on shifted rows.

    python benchmarks/shift_training.py               the families of development; goes on where it stopped
    python benchmarks/shift_training.py --held-out    the default and the final combination on the held-out ones, read once
    python benchmarks/shift_training.py --summary     the tables, without computing

all-MiniLM-L6-v2, 1,000 train rows, 3 epochs, 64 tokens, 3 seeds; 525 rows of each family of `shift_texts.py`. Self-training gets
525 other rows of each family without their labels. A line a training; about 3 minutes each on one core without bf16.
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import shift_texts
import submillion
from record import append, lines, stands

NAME = "shift_training"
SEEDS = (1, 2, 3)
N_TRAIN, N_ROWS = 1_000, shift_texts.POOL // 2
FIELDS: dict[str, Any] = {"max_length": 64, "num_train_epochs": 3}
DEFAULT, FINAL = "default", "final"
SELF_TRAINING: dict[str, Any] = {"unlabelled": True}
SETTINGS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "average_epochs: 3": {"average_epochs": 3},
    "word_dropout: 0.2": {"word_dropout": 0.2},
    "adapter_scale: choose": {"adapter_scale": "choose"},
    "metric_for_best_model: shifted_accuracy": {"metric_for_best_model": "shifted_accuracy"},
    "head_init: random": {"head_init": "random"},
    "unlabelled": SELF_TRAINING,
}
DEVELOPMENT = {"agnews": ("typos",), "20ng": ("topic",)}
HELD_OUT = {"agnews": ("source", "scan", "written", "cut")}
"""Without `class`: a model that lacks a label has all its rows wrong, however it was trained."""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--held-out", action="store_true")
    options.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    families = HELD_OUT if asked.held_out else DEVELOPMENT
    settings = (DEFAULT, FINAL) if asked.held_out else SETTINGS
    for seed, setting, task in itertools.product(() if asked.summary else asked.seeds, settings, families):
        key = {"task": task, "setting": setting, "seed": seed, "held_out": asked.held_out}
        if not stands(NAME, **key):
            append(NAME, run(task, setting, seed, families[task]), **key)
    print(summary())


def run(task: str, setting: str, seed: int, families: tuple[str, ...]) -> dict[str, Any]:
    """Train once and return the accuracy on the familiar rows and on each family's, in points of 100."""
    rows = shift_texts.task(task, seed)
    pools = {name: rows.pools[name] for name in ("familiar", *families)}
    fields = dict((SETTINGS | {FINAL: final()})[setting])
    with tempfile.TemporaryDirectory() as folder:
        if fields.pop("unlabelled", False):
            others = Path(folder, "unlabelled.csv")
            pd.concat([pool[N_ROWS:] for pool in pools.values()])[["text"]].to_csv(others, index=False)
            fields["unlabelled"] = str(others)
        record = submillion.train(
            rows.train[:N_TRAIN], output=f"{folder}/run", seed=seed, quiet=True, **FIELDS, **fields
        )
        model = submillion.load(f"{folder}/run", using="adapter")
        right = {name: _right(model, pool[:N_ROWS]) for name, pool in pools.items()}
    return {
        "accuracy": {name: 100 * each for name, each in right.items()},
        "training_s": record["seconds"]["training"],
        "chosen": {name: record.get(name) for name in ("averaged_epochs", "adapter_scale", "self_training")},
    }


def _right(model: Any, pool: pd.DataFrame) -> float:
    return float(
        np.mean(np.array(model.predict(pool["text"].tolist()), dtype=str) == pool["label"].astype(str))
    )


def final() -> dict[str, Any]:
    """Return the keys that are kept: each that the families of development gain by, at 0.3 points of familiar accuracy."""
    kept: dict[str, Any] = {}
    for setting, fields in SETTINGS.items():
        shifted, familiar = differences(setting, held_out=False)
        if len(shifted) == len(SEEDS) and np.mean(shifted) > 0 and np.mean(familiar) >= -0.3:
            kept |= fields
    return kept


def differences(setting: str, *, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a setting minus the default for each seed whose tasks are all done: mean of the shifted families, of the familiar rows."""
    found = {
        (line["settings"]["task"], line["settings"]["setting"], line["settings"]["seed"]): line["figures"][
            "accuracy"
        ]
        for line in lines(NAME)
        if line["settings"]["held_out"] == held_out
    }
    shifted, familiar = [], []
    for seed in SEEDS:
        tasks = HELD_OUT if held_out else DEVELOPMENT
        pairs = [(found.get((task, setting, seed)), found.get((task, DEFAULT, seed))) for task in tasks]
        both = [(one, other) for one, other in pairs if one is not None and other is not None]
        if len(both) < len(tasks):
            continue
        each = [{name: one[name] - other[name] for name in one if name != "familiar"} for one, other in both]
        shifted.append(np.mean([value for values in each for value in values.values()]))
        familiar.append(np.mean([one["familiar"] - other["familiar"] for one, other in both]))
    return np.array(shifted), np.array(familiar)


def summary() -> str:
    """Return the tables in Markdown."""
    text = []
    for held_out, settings in ((False, tuple(SETTINGS)), (True, (DEFAULT, FINAL))):
        found = [line for line in lines(NAME) if line["settings"]["held_out"] == held_out]
        if not found:
            continue
        tasks = HELD_OUT if held_out else DEVELOPMENT
        columns = [(task, name) for task in tasks for name in ("familiar", *tasks[task])]
        text += [
            f"{'Held out' if held_out else 'Development'}, accuracy over seeds",
            "",
            f"| setting | {' | '.join(f'{task}: {name}' for task, name in columns)} | shifted, minus the default (each seed) | familiar, minus the default |",
            "|---|" + "---|" * (len(columns) + 2),
        ]
        for setting in settings:
            cells = []
            for task, name in columns:
                values = [
                    line["figures"]["accuracy"][name]
                    for line in found
                    if (line["settings"]["task"], line["settings"]["setting"]) == (task, setting)
                ]
                cells.append(f"{np.mean(values):.1f}" if values else "-")
            shifted, familiar = differences(setting, held_out=held_out)
            told = ", ".join(f"{each:+.1f}" for each in shifted)
            cells.append(f"{shifted.mean():+.2f} ({told})" if len(shifted) else "-")
            cells.append(f"{familiar.mean():+.2f}" if len(familiar) else "-")
            text.append(f"| {setting} | {' | '.join(cells)} |")
        text.append("")
    kept = ", ".join(f"`{name}: {value}`" for name, value in final().items()) or "none"
    return "\n".join([*text, f"Kept: {kept}."])


if __name__ == "__main__":
    main()
