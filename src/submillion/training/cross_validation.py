"""Adapter against baselines where no rows can be spared: every row scored by a model that did not see it.

What it recommends, `predict` uses: the most accurate of the adapter, the probes, TF-IDF, and the adapter and TF-IDF together, the
cheapest of equals.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.model_selection import StratifiedGroupKFold

from submillion.alternatives import CHEAPEST_FIRST, TOGETHER
from submillion.baselines import fit_baselines
from submillion.data.windows import taken
from submillion.scoring import embed_frozen, score
from submillion.statistics import compare, wilson_interval
from submillion.together import fit_all, pooled_by_others
from submillion.training.finish import finish_adapter
from submillion.training.fit import Labelled, fit_adapter, make_trainer
from submillion.training.prepare import Prepared
from submillion.training.start import as_baseline, fit_head_probe, start_head, start_rows
from submillion.training.weights import baseline_weights


def cross_validate(prepared: Prepared, folds: int, console: Console) -> dict[str, Any]:
    """Return accuracy and paired verdicts over all train rows, each scored in the fold that left it out.

    Args:
        prepared: Rows, tokens, plan and recipe; validation rows choose the adapter's scale at most, calibration and
            unlabelled rows are not used.
        folds: How many parts; each costs one training.
        console: Where the cost is said and progress shown.
    """
    recipe, splits, train = prepared.recipe, prepared.splits, prepared.train
    console.print(
        f"cross-validation: {folds} more trainings, each on {100 - 100 // folds} % of the rows",
        highlight=False,
    )
    started = time.monotonic()
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=recipe.seed)
    groups = splits.train.hashes  # rows of one text stay in one fold
    embeddings = embed_frozen(
        prepared.embedder(prepared.build()), train.input_ids, recipe.training.per_device_eval_batch_size
    )  # frozen: the same in each fold
    scores: dict[str, np.ndarray] = {}
    fold_of = np.empty(len(train.labels), dtype=np.int64)
    for number, (kept, left_out) in enumerate(parts.split(train.labels, train.labels, groups), start=1):
        console.print(f"fold {number} of {folds}", style="dim", highlight=False)
        fold_of[left_out] = number
        for name, values in _one_fold(prepared, train, kept, left_out, embeddings, console).items():
            scores.setdefault(name, np.empty((len(train.labels), values.shape[1])))[left_out] = values
    fitted = fit_all(scores, train.labels)
    if fitted["pool_weights"]:
        scores[TOGETHER] = pooled_by_others(scores, train.labels, fold_of)
    right = {name: values.argmax(axis=1) == train.labels for name, values in scores.items()}
    margin = recipe.evaluation.margin / 100
    return {
        "folds": folds,
        "n": len(train.labels),
        "seconds": round(time.monotonic() - started, 1),
        "accuracy": _accuracy(right["adapter"]),
        "baselines": [
            {
                "name": name,
                "accuracy": _accuracy(values),
                "verdict": compare(
                    right["adapter"], values, margin=margin, names=("adapter", name)
                ).to_json(),
            }
            for name, values in right.items()
            if name != "adapter"
        ],
        **fitted,
        "recommended": _recommended(right, folds),
    }


def _accuracy(right: np.ndarray) -> dict[str, Any]:
    return wilson_interval(int(right.sum()), len(right)).to_json()


def _recommended(right: dict[str, np.ndarray], folds: int) -> dict[str, str]:
    """Return what is to answer, and why in a sentence."""
    accuracy = {name: float(right[name].mean()) for name in CHEAPEST_FIRST if name in right}
    name = max(accuracy, key=accuracy.__getitem__)  # the first of equals
    rest = ", ".join(f"{other} {100 * value:.1f}" for other, value in accuracy.items() if other != name)
    return {
        "name": name,
        "reason": f"{folds}-fold cross-validation on the train rows gave {name} {100 * accuracy[name]:.1f} % ({rest})",
    }


def _one_fold(
    prepared: Prepared,
    train: Labelled,
    kept: np.ndarray,
    left_out: np.ndarray,
    embeddings: dict[str, np.ndarray],
    console: Console,
) -> dict[str, np.ndarray]:
    """Train on one part and return adapter's and baselines' scores of the other, name -> `[n, n_labels]`."""
    recipe, splits = prepared.recipe, prepared.splits
    inside = Labelled(taken(train.input_ids, kept), train.labels[kept])
    of_inside = {name: values[kept] for name, values in embeddings.items()}
    model, probe_mean = prepared.build(), None
    if recipe.model.head_init == "probe":
        rows = start_rows(inside.labels, recipe.seed)
        probe = fit_head_probe(model, inside, rows, of_inside["mean"][rows], recipe)
        start_head(model, *probe.head_weights())
        probe_mean = as_baseline(probe, rows, inside)
    baselines = fit_baselines(
        [splits.train.texts[row] for row in kept],
        inside.labels,
        len(splits.label_names),
        of_inside,
        recipe.seed,
        baseline_weights(recipe.training, inside.labels, len(splits.label_names)),
        probe_mean,
    )
    others = baselines.scores(
        [splits.train.texts[row] for row in left_out],
        {name: values[left_out] for name, values in embeddings.items()},
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(model, prepared.plan, recipe, inside, None, Path(folder), console)
        fit_adapter(trainer)
        finish_adapter(trainer, recipe.training, prepared.validation)
    outside = taken(train.input_ids, left_out)
    return {"adapter": score(model, outside, recipe.training.per_device_eval_batch_size).logits, **others}
