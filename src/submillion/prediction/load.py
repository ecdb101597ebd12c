"""Load what answers: of a run, what its cross-validation recommends; of any other folder, the adapter."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from submillion.alternatives import ANSWERING, TOGETHER, what_answers
from submillion.baselines import load_baselines
from submillion.budget.plan import make_plan
from submillion.data.pairs import text_columns_of
from submillion.errors import ConfigError
from submillion.model.adapter import assert_planned, freeze_unplanned
from submillion.model.as_saved import plan_as_saved
from submillion.model.device import has_bf16
from submillion.model.saved import SavedClassifier, load_saved
from submillion.multi_label import thresholds_of
from submillion.prediction.answering import Adapter, OfBaseline, Together
from submillion.prediction.multi_label import MultiLabelPredictor, label_place
from submillion.prediction.predictor import Predictor
from submillion.recipe import Recipe, checked_recipe
from submillion.run import RunFolder
from submillion.temperature import temperature_of
from submillion.together import pool_weights_of

UNMEASURED_SHIFT = 0.05
"""For a run that does not say how far bf16 moves its logits, having been trained where there is none."""


def load_predictor(
    path: str | Path,
    *,
    encoder: str | None = None,
    label_names: Sequence[str] | None = None,
    using: str = "recommended",
) -> Predictor:
    """Load a finished run, or any PEFT adapter of a text classifier.

    Args:
        path: A run folder, or a folder with `adapter_config.json`.
        encoder: The base's folder or hub id where it now lies elsewhere.
        label_names: For an adapter that carries none; default: "0", "1", ...
        using: One of `ANSWERING`. ``recommended``: what the run's recipe asks for, else what its cross-validation found
            most accurate, else the adapter.

    Raises:
        RunError: If it is neither, not finished, or damaged.
        BudgetError: If what was loaded differs from the run's plan.
        ConfigError: If the base is not here; says which and how to get it. If a run, which has label names of
            its own, is given others. If ``using`` is not known, asks a bare adapter for a baseline, or a run for two
            together that it has no weights of.
    """
    if using not in ANSWERING:
        raise ConfigError(f"using={using!r} is not one of {', '.join(ANSWERING)}")
    folder = RunFolder(path)
    if not folder.exists and (folder.path / "adapter_config.json").is_file():
        if using not in ("recommended", "adapter"):
            raise ConfigError(
                f"using={using!r} needs a run folder: {path} is an adapter alone, without baselines"
            )
        saved = load_saved(path, encoder=encoder, label_names=label_names)
        batch_size = Recipe().training.per_device_eval_batch_size
        alone = Adapter(saved, batch_size, threshold=saved.threshold)
        kind = partial(MultiLabelPredictor, threshold=saved.threshold) if saved.threshold else Predictor
        temperature = saved.temperature or 1.0
        return kind(
            alone, saved.label_names, saved.label_values, temperature=temperature, are_pairs=saved.are_pairs
        )
    record = folder.read_finished()
    _check_no_names(path, record, label_names)
    recipe = checked_recipe(record["recipe"], str(folder.run_json), Recipe)
    name, reason = what_answers(record) if using == "recommended" else (using, "as asked")
    adapter = None if name == "tfidf_svm" else load_adapter(path, encoder=encoder)
    answering = (
        adapter if adapter is not None and name == "adapter" else _other(folder, record, name, adapter)
    )
    thresholds = thresholds_of(record)
    kind = Predictor if thresholds is None else partial(MultiLabelPredictor, threshold=thresholds[name])
    return kind(
        answering,
        tuple(record["data"]["label_names"]),
        tuple(record["data"]["label_values"]),
        temperature=temperature_of(record, name) or 1.0,
        text_columns=text_columns_of(recipe.data.text_columns, recipe.data.text_pair_column),
        label_column=label_place(recipe.data),
        reason=reason,
        are_pairs=record["data"].get("text_pairs", False),
    )


def _weights(folder: RunFolder, record: Mapping[str, Any]) -> dict[str, float]:
    """Return the weights of two that answer together; a run that has none is refused."""
    weights = pool_weights_of(record)
    if weights is None:
        raise ConfigError(
            f"using={TOGETHER!r} needs a weight for each of the two, and the run {folder.path} has none: it has rows of several labels, or "
            "neither calibration rows nor the folds of this version's cv, or a label there that TF-IDF cannot give; use adapter, or train again "
            "with a calibration_share, or with cv"
        )
    return weights


def load_adapter(path: str | Path, *, encoder: str | None = None) -> Adapter:
    """Load the adapter of a finished run; it predicts in fp32 where it was trained so, else in bf16 where it can.

    Raises: as `load_predictor`.
    """
    folder = RunFolder(path)
    record = folder.read_finished()
    recipe = checked_recipe(record["recipe"], str(folder.run_json), Recipe)
    batch_size = recipe.training.per_device_eval_batch_size
    load = partial(_load_planned, folder.adapter, recipe, encoder)
    if record["with"]["numerics"] != "exact" and has_bf16():
        shift = record.get("bf16_shift") or UNMEASURED_SHIFT
        threshold = (thresholds_of(record) or {}).get("adapter")
        return Adapter(
            load("fast"), batch_size, load_exact=partial(load, "exact"), shift=shift, threshold=threshold
        )
    return Adapter(load("exact"), batch_size)


def load_exact(
    path: str | Path, *, encoder: str | None = None, label_names: Sequence[str] | None = None
) -> SavedClassifier:
    """Load the adapter of a finished run in fp32, whatever it was trained in.

    Raises: as `load_predictor`.
    """
    folder = RunFolder(path)
    record = folder.read_finished()
    _check_no_names(path, record, label_names)
    return _load_planned(
        folder.adapter, checked_recipe(record["recipe"], str(folder.run_json), Recipe), encoder, "exact"
    )


def _check_no_names(path: str | Path, record: Mapping[str, Any], label_names: Sequence[str] | None) -> None:
    """Refuse label names for a run, which has its own."""
    if label_names is not None:
        own = ", ".join(record["data"]["label_names"])
        raise ConfigError(
            f"label_names={','.join(label_names)} is for an adapter that carries none: the run {path} has its own, "
            f"{own}; leave it out"
        )


def _load_planned(folder: Path, recipe: Recipe, encoder: str | None, numerics: str) -> SavedClassifier:
    """Load an adapter; what moved in training must be what the plan says."""
    saved = load_saved(folder, encoder=encoder, numerics=numerics)
    plan = make_plan(saved.encoder, len(saved.label_names), **recipe.budget.model_dump())
    plan = plan_as_saved(plan, saved.model)
    freeze_unplanned(saved.model, plan)
    assert_planned(saved.model, plan, "after load")
    saved.model.requires_grad_(False)
    return saved


def _other(
    folder: RunFolder, record: Mapping[str, Any], name: str, adapter: Adapter | None
) -> OfBaseline | Together:
    """Load one of a run's baselines, or what answers together with the adapter."""
    baselines = load_baselines(folder.baselines)
    if name == TOGETHER and adapter is not None:
        return Together(adapter, baselines["tfidf_svm"], _weights(folder, record))
    return OfBaseline(baselines[name], adapter)
