"""The figures of a run on the validation rows that were held back from its training."""

from typing import Any

from submillion.evaluation.labelled import evaluate_labelled
from submillion.evaluation.plots import plot_learning_curves
from submillion.run import RunFolder
from submillion.scoring import read_scores
from submillion.training.callbacks import read_history


def report_validation(folder: RunFolder) -> dict[str, Any]:
    """Add the validation figures and the learning curves to a trained run, and return its `run.json`.

    The best epoch was chosen on these rows, so the adapter's figure is optimistic; the record says so.
    """
    record = folder.read()
    recipe = record["recipe"]
    figures: dict[str, Any] = {}
    if folder.scores("validation").is_file():
        rows = read_scores(folder.scores("validation"))
        report = evaluate_labelled(
            rows.labels,
            rows.scores.logits,
            record["data"]["label_names"],
            rows.baseline_predictions,
            margin=recipe["evaluation"]["margin"] / 100,
            seed=recipe["seed"],
        )
        figures["validation"] = report.to_json() | {
            "optimistic": "the epoch was chosen on these rows; the baselines were not"
        }
    plot_learning_curves(read_history(folder.history), folder.learning_curves)
    return folder.update(figures=figures)
