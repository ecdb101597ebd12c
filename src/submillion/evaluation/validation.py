"""The figures of a run on the validation rows that were held back from its training."""

from typing import Any

from submillion.evaluation.compared import compared_with
from submillion.evaluation.labelled import evaluate_labelled
from submillion.evaluation.multi_label import evaluate_multi_label
from submillion.evaluation.plots import plot_learning_curves
from submillion.multi_label import thresholds_of
from submillion.reference import read_look
from submillion.run import RunFolder
from submillion.scoring import read_scores
from submillion.temperature import temperature_of
from submillion.training.callbacks import read_history


def report_validation(folder: RunFolder) -> dict[str, Any]:
    """Add the validation figures and the learning curves to a trained run, and return its `run.json`.

    The best epoch was chosen on these rows, so the adapter's figure is optimistic; the record says so.
    """
    record = folder.read()
    recipe = record["recipe"]
    figures: dict[str, Any] = {}
    if thresholds_of(record) is not None:
        figures = _of_several_labels(folder, record)
    elif folder.scores("validation").is_file():
        rows, look = read_scores(folder.scores("validation")), read_look(folder.look("validation"))
        report = evaluate_labelled(
            rows.labels,
            rows.scores.logits,
            record["data"]["label_names"],
            compared_with(record, rows.scores.logits, rows.baseline_predictions, look.scores),
            margin=recipe["evaluation"]["margin"] / 100,
            seed=recipe["seed"],
            temperature=temperature_of(record, "adapter"),
        )
        figures["validation"] = report.to_json() | {
            "optimistic": "the epoch was chosen on these rows; the baselines were not"
        }
    plot_learning_curves(read_history(folder.history), folder.learning_curves)
    return folder.update(figures=figures)


def _of_several_labels(folder: RunFolder, record: dict[str, Any]) -> dict[str, Any]:
    """Return the validation figures where rows may have several labels; nothing where no row was held back."""
    if not folder.scores("validation").is_file():
        return {}
    rows = read_scores(folder.scores("validation"))
    scores = read_look(folder.look("validation")).scores  # in alphabetical order, as the file has them
    report = evaluate_multi_label(
        rows.labels,
        rows.scores,
        record["data"]["label_names"],
        {name: scores[name] for name in record["baselines"]["members"] if name in scores},
        record["thresholds"],
        margin=record["recipe"]["evaluation"]["margin"] / 100,
        seed=record["recipe"]["seed"],
    )
    optimistic = "the epoch was chosen on these rows, and every threshold fitted, the baselines' too"
    return {"validation": report | {"optimistic": optimistic}}
