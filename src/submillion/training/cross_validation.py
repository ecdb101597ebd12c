"""Adapter against baselines where no rows can be spared: every row scored by a model that did not see it."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.model_selection import StratifiedGroupKFold

from submillion.baselines import fit_baselines
from submillion.data.duplicates import text_hashes
from submillion.scoring import embed_frozen, score
from submillion.statistics import compare, wilson_interval
from submillion.training.fit import Labelled, fit_adapter
from submillion.training.prepare import Prepared
from submillion.training.start import start_from_probe


def cross_validate(prepared: Prepared, folds: int, console: Console) -> dict[str, Any]:
    """Return accuracy and paired verdicts over all train rows, each scored in the fold that left it out.

    Args:
        prepared: Rows, tokens, plan and recipe; validation and calibration rows are not used.
        folds: How many parts; each costs one training.
        console: Where the cost is said and progress shown.
    """
    recipe, splits = prepared.recipe, prepared.splits
    train = prepared.train
    console.print(
        f"cross-validation: {folds} more trainings, each on {100 - 100 // folds} % of the rows",
        highlight=False,
    )
    started = time.monotonic()
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=recipe.seed)
    groups = text_hashes(splits.train.texts)  # rows of one text stay in one fold
    adapter = np.empty(len(train.labels), dtype=np.int64)
    baselines: dict[str, np.ndarray] = {}
    for number, (kept, left_out) in enumerate(parts.split(train.labels, train.labels, groups), start=1):
        console.print(f"fold {number} of {folds}", style="dim", highlight=False)
        predictions, others = _one_fold(prepared, train, kept, left_out, console)
        adapter[left_out] = predictions
        for name, values in others.items():
            baselines.setdefault(name, np.empty(len(train.labels), dtype=np.int64))[left_out] = values
    right = adapter == train.labels
    return {
        "folds": folds,
        "n": len(train.labels),
        "seconds": round(time.monotonic() - started, 1),
        "accuracy": wilson_interval(int(right.sum()), len(right)).to_json(),
        "baselines": [
            {
                "name": name,
                "accuracy": wilson_interval(int((values == train.labels).sum()), len(values)).to_json(),
                "verdict": compare(
                    right,
                    values == train.labels,
                    margin=recipe.evaluation.margin / 100,
                    names=("adapter", name),
                ).to_json(),
            }
            for name, values in baselines.items()
        ],
    }


def _one_fold(
    prepared: Prepared, train: Labelled, kept: np.ndarray, left_out: np.ndarray, console: Console
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Train on one part and return adapter's and baselines' labels for the other."""
    recipe, splits = prepared.recipe, prepared.splits
    n_labels, batch_size = len(splits.label_names), recipe.training.per_device_eval_batch_size
    inside = Labelled([train.input_ids[row] for row in kept], train.labels[kept])
    outside = [train.input_ids[row] for row in left_out]
    model = prepared.build()
    embeddings = embed_frozen(model, inside.input_ids, batch_size)
    texts = [splits.train.texts[row] for row in kept]
    baselines = fit_baselines(texts, inside.labels, n_labels, embeddings, recipe.seed)
    others = baselines.predict(
        [splits.train.texts[row] for row in left_out], embed_frozen(model, outside, batch_size)
    )
    if recipe.model.head_init == "probe":
        start_from_probe(model, inside, baselines, recipe)
    with tempfile.TemporaryDirectory() as folder:
        fit_adapter(model, prepared.plan, recipe, inside, None, Path(folder), console)
    return score(model, outside, batch_size).predictions, others
