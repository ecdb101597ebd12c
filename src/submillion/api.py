"""The verbs, from Python: they take files, lists or DataFrames, and do what the command does."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from submillion.recipe import DEFAULT_MODEL, SOURCE_FIELDS, BudgetConfig, Recipe, checked_recipe, load_recipe
from submillion.run import RunFolder
from submillion.terminal import Console


def plan(model: str, n_labels: int, **fields: Any) -> Any:
    """Count exactly what would train, before a weight is downloaded.

    Args:
        model: A folder or hub id; only its config is read.
        n_labels: Number of labels, at least 2.
        fields: Fields of the recipe's `budget` section: budget, method, target_modules, rank (or r),
            lora_alpha, lora_dropout, head, pooling, layers. Without rank: the largest that fits, for each
            set of target modules and head.

    Returns:
        A `PlanReport`; its ``candidates`` stand best first.

    Raises:
        BudgetError: If nothing fits.
        ConfigError: If the encoder's family is not supported, or a field is not allowed or of another section.
    """
    from dataclasses import replace

    from submillion.budget.plan import make_plans
    from submillion.encoders import resolve_encoder
    from submillion.errors import ConfigError

    if "r" in fields:
        fields["rank"] = fields.pop("r")
    if unknown := [name for name in fields if name not in BudgetConfig.model_fields]:
        raise ConfigError(
            f"plan has no field {', '.join(map(repr, unknown))}: give only {', '.join(BudgetConfig.model_fields)}"
        )
    asked = load_recipe(**fields).budget
    fields = {name: getattr(asked, name) for name in fields}
    report = make_plans(resolve_encoder(model), n_labels, **fields)
    return replace(report, model=model)


def train(
    train: Any = None,
    *,
    output: str | Path,
    recipe: str | Path | Recipe | None = None,
    validation: Any = None,
    test: Any = None,
    unlabelled: Any = None,
    resume: bool = False,
    quiet: bool = False,
    **fields: Any,
) -> dict[str, Any]:
    """Train a classifier into a run folder and return what its `run.json` says.

    Args:
        train: Labelled rows: a file, `-` (standard input), `hub:NAME`, a DataFrame, a `datasets.Dataset`, or (text, label) pairs; a text
            may be two, (text, text). Default: what the recipe names.
        output: The run folder; it must not exist or be empty, unless ``resume``.
        recipe: A YAML file, the name of a recipe that comes with the package, or a `Recipe`.
        validation: Rows that choose the epoch; default: carved from train.
        test: Only hashed, so that train rows shared with it are left out.
        unlabelled: Texts; those that a first training is sure of join train, and training starts anew, once.
        resume: Go on with an interrupted run, to the same adapter; what it was asked stands in the folder.
        quiet: Show no progress.
        fields: Any recipe field, over the recipe's own.

    Raises:
        SubmillionError: Whatever a user can mend.
    """
    from submillion.errors import ConfigError
    from submillion.evaluation.whole import train_whole

    folder = RunFolder(output)
    begun = recipe
    if resume and recipe is None and folder.exists:
        begun = checked_recipe(folder.read()["recipe"], str(folder.run_json), Recipe)
    asked = load_recipe(begun, **fields, **_named(train, validation, test, unlabelled))
    sources = _sources(asked, train, validation, test, unlabelled)
    if sources.train is None:
        nothing = f"{output} holds no run to go on with, and " if resume and not folder.exists else ""
        raise ConfigError(
            f"{nothing}there is nothing to train on: name a file by --train, or data.train in the recipe"
        )
    console = Console(file=sys.stderr, quiet=quiet)
    return train_whole(asked, sources, str(output), resume=resume, console=console)


def _named(*given: Any) -> dict[str, str]:
    """Return those of train, validation, test and unlabelled rows that are files or names, as the recipe's fields have them."""
    return {
        name: str(value)
        for name, value in zip(SOURCE_FIELDS, given, strict=True)
        if isinstance(value, str | Path)
    }


def _sources(asked: Recipe, *given: Any) -> Any:
    """Return where train, validation, test and unlabelled rows come from: what is given, else what the recipe names."""
    from submillion.training.prepare import Sources

    return Sources(
        *(
            getattr(asked.data, name) if value is None else value
            for name, value in zip(SOURCE_FIELDS, given, strict=True)
        )
    )


def load(
    path: str | Path,
    *,
    encoder: str | None = None,
    label_names: Sequence[str] | None = None,
    using: str = "recommended",
) -> Any:
    """Load a finished run, or any PEFT adapter of a text classifier; returns what has `predict` and `predict_proba`.

    Args:
        path: A run folder, or a folder with `adapter_config.json`.
        encoder: The base's folder or hub id where it now lies elsewhere.
        label_names: For an adapter that carries none; default: "0", "1", ...
        using: What answers: adapter, tfidf_svm, probe_mean, probe_first, adapter_and_tfidf; recommended: what the run's
            recipe asks for, else what its cross-validation found most accurate, else the adapter.
    """
    from submillion.prediction import load_predictor

    return load_predictor(path, encoder=encoder, label_names=label_names, using=using)


def predict(
    run: str | Path,
    data: Any,
    *,
    output: str | Path | None = None,
    encoder: str | None = None,
    label_names: Sequence[str] | None = None,
    format: str | None = None,
    text_columns: Sequence[str] | None = None,
    text_pair_column: str | None = None,
    using: str = "recommended",
) -> list[str] | int:
    """Label texts, or the rows of a file.

    Args:
        run: A run folder, or any PEFT adapter of a text classifier.
        data: A list of texts or of (text, text) pairs, a DataFrame, a file, `-` (standard input) or `hub:NAME`.
        output: Where labels and probabilities are written, `-`: to standard output; then the number of rows is returned. Without it
            the label names are returned.
        encoder: The base's folder or hub id where it now lies elsewhere.
        label_names: For an adapter that carries none; default: "0", "1", ...
        format: How ``output`` is written: csv, jsonl, parquet or submission; default: by its ending, else csv.
        text_columns: Where the text stands; default: where it stood in training, else by its usual names.
        text_pair_column: Where the second text of a pair stands; default: where it stood in training.
        using: What answers; see `load`.

    Raises:
        ConfigError: If there is a format without an output.
    """
    from submillion.data.pairs import text_columns_of
    from submillion.errors import ConfigError

    if format is not None and output is None:
        raise ConfigError(f"format={format!r} needs output: name the file to write, or leave format out")
    predictor = load(run, encoder=encoder, label_names=label_names, using=using)
    text_columns = text_columns_of(text_columns, text_pair_column)
    if output is not None:
        written: int = predictor.predict_file(data, output, format=format, text_columns=text_columns)
        return written
    texts = [text for rows in predictor.read(data, text_columns) for text in rows.texts]
    labels: list[str] = predictor.predict(texts)
    return labels


def evaluate(
    run: str | Path,
    data: Any,
    *,
    against: str | Path | None = None,
    output: str | Path | None = None,
    text_columns: Sequence[str] | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    encoder: str | None = None,
    unlabelled: bool = False,
    slices: Sequence[str] = (),
    wanted_accuracy: float | None = None,
    has_texts: bool = True,
    corrupt: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Measure a run on labelled rows, where a read of its test split is noted; foretell its accuracy on others.

    Args:
        run: A finished run folder.
        data: Rows: a file, `-` (standard input), `hub:NAME`, a DataFrame, (text, label) pairs or texts.
        against: A second finished run, compared row by row.
        output: Where the report goes; default: a folder in the run, named after the data.
        text_columns: Where the text stands; default: where it stood in training, else by its usual names.
        text_pair_column: Where the second text of a pair stands; default: where it stood in training.
        label_column: Where the label stands; default: where it stood in training, else by its usual names.
        encoder: The base's folder or hub id where it now lies elsewhere.
        unlabelled: Do not read the labels, if there are any.
        slices: Further columns: accuracy is given by each value of them.
        wanted_accuracy: Ask from which confidence on so large a share of labelled rows is right.
        has_texts: Whether `report.html` shows texts.
        corrupt: Measure also how accuracy falls as the texts get worse: 8 kinds of noise in 5 severities, at most 1,000
            rows each.
        quiet: Do not say what that will cost.
    """
    from submillion.data.pairs import text_columns_of
    from submillion.evaluation.on_data import evaluate_run
    from submillion.evaluation.options import Options

    return evaluate_run(
        run,
        data,
        Options(
            against=against,
            output=output,
            text_columns=text_columns_of(text_columns, text_pair_column),
            label_column=label_column,
            encoder=encoder,
            unlabelled=unlabelled,
            slices=slices,
            wanted_accuracy=wanted_accuracy,
            has_texts=has_texts,
            corrupt=corrupt,
            say=_sayer(quiet),
        ),
    )


def _sayer(quiet: bool) -> Callable[[str], None]:
    """Return what says, on standard error, what takes long before it starts."""
    console = Console(stderr=True, quiet=quiet, highlight=False, markup=False)
    return partial(console.print, soft_wrap=True)


def audit(
    *data: Any,
    validation: Any = None,
    test: Any = None,
    output: str | Path = "audit",
    model: str = DEFAULT_MODEL,
    without_encoder: bool = False,
    text_columns: Sequence[str] | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    has_texts: bool = True,
    seed: int = 42,
    quiet: bool = False,
) -> dict[str, Any]:
    """Look for duplicates, labels that contradict each other or are likely wrong, and other faults of rows.

    Args:
        data: Labelled rows, as `train` takes them: one is train, of several each is a split named after its file.
        validation: Rows of the validation split.
        test: Rows of the test split; its labels are not read.
        output: The folder that takes `issues.csv`, `audit.html` and `audit.json`.
        model: The encoder that label errors are found by, and whose limit lengths are held against.
        without_encoder: Find label errors by TF-IDF, in seconds, and count no tokens.
        text_columns: Where the text stands; default: by its usual names.
        text_pair_column: Where the second text of a pair stands.
        label_column: Where the label stands; default: by its usual names.
        has_texts: Whether `issues.csv` and `audit.html` show texts.
        seed: Seed of signatures, folds and solvers.
        quiet: Do not say what takes long.

    Returns:
        What `audit.json` says.
    """
    from submillion.auditing import audit_rows
    from submillion.data.pairs import text_columns_of

    return audit_rows(
        data,
        validation=validation,
        test=test,
        output=output,
        model=model,
        without_encoder=without_encoder,
        text_columns=text_columns_of(text_columns, text_pair_column),
        label_column=label_column,
        has_texts=has_texts,
        seed=seed,
        say=_sayer(quiet),
    )


def compare(*runs: str | Path | Sequence[str | Path]) -> dict[str, Any]:
    """Compare each run with the first, on the rows that both scored."""
    from submillion.evaluation.comparison import compare_runs

    flat = [run for part in runs for run in ([part] if isinstance(part, str | Path) else part)]
    return compare_runs(flat)


def export(
    run: str | Path,
    output: str | Path,
    *,
    format: str,
    int8: bool = False,
    zip: bool = False,
    overwrite: bool = False,
    data: Any = None,
    text_columns: Sequence[str] | None = None,
    text_pair_column: str | None = None,
    tolerance: float | None = None,
    changed_labels: float | None = None,
    encoder: str | None = None,
    label_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Write a run for a runtime that needs nothing of this package, if it answers there as it does here.

    Args:
        run: A run folder, or any PEFT adapter of a text classifier.
        output: The folder that is made, whole or not at all.
        format: peft (the adapter), merged (a stock transformers model), onnx or openvino (a graph for that runtime).
        int8: With onnx or openvino: weights and products in 8 bits; openvino's scales are set on rows that are not compared.
        zip: Write ``output`` with `.zip` added too, the same bytes each time.
        overwrite: Replace an export that stands there.
        data: Rows to compare the export with the run on, every second one to calibrate openvino's int8 on; labels are
            not read. Default: the run's validation rows, and rows of the file it was trained on.
        text_columns: Where the text of ``data`` stands.
        text_pair_column: Where the second text of a pair stands; default: where it stood in training.
        tolerance: Largest difference of a logit, as a share of their standard deviation; default: 0.001, with int8 0.5.
        changed_labels: Largest share of those rows whose label changes; default: 0, with int8 0.02.
        encoder: The base's folder or hub id where it now lies elsewhere.
        label_names: For an adapter that carries none; default: "0", "1", ...

    Returns:
        What `export.json` says, figures of the comparison among it, and ``output``, ``zip``, ``sentence``, ``notes``.
    """
    from submillion.exporters import export_run

    return export_run(
        run,
        output,
        format=format,
        int8=int8,
        zip=zip,
        overwrite=overwrite,
        data=data,
        text_columns=text_columns,
        text_pair_column=text_pair_column,
        tolerance=tolerance,
        changed_labels=changed_labels,
        encoder=encoder,
        label_names=label_names,
    )


def search(
    train: Any = None,
    *,
    recipe: str | Path,
    output: str | Path,
    validation: Any = None,
    test: Any = None,
    storage: str | None = None,
    seeds: int | None = None,
    resume: bool = False,
    quiet: bool = False,
    **fields: Any,
) -> dict[str, Any]:
    """Train many plans for a short while, recommend one by rows held back, train it in full; return `study.json`.

    Args:
        train: Labelled rows, as `train` takes them. Default: what the recipe names.
        recipe: A YAML file with a section ``space``, or the name of one that comes with the package. One with a section
            ``table`` chooses nothing: its rows are all trained in full, then test is read once for each.
        output: The study folder; it must not exist or be empty, unless ``resume`` or a shared ``storage``.
        validation: Rows that the search chooses by. Default: carved from train, and in the last stage also train rows that it leaves out.
        test: Rows that are read once, at the end, for the final model.
        storage: An SQLAlchemy URL: processes that name the same one share the study. Default: a file in the folder.
        seeds: Seeds that each candidate of the last stage is trained with.
        resume: Go on with an interrupted study.
        quiet: Show no progress.
        fields: Any recipe field, over the recipe's own.

    Raises:
        SubmillionError: Whatever a user can mend.
    """
    from submillion.errors import ConfigError

    try:
        from submillion.study.search import run_study
        from submillion.study.table import run_table
    except ModuleNotFoundError as error:
        raise ConfigError(f"search needs {error.name}: pip install 'submillion[search]'") from None
    from submillion.study.recipe import load_search_recipe

    named = _named(train, validation, test, None)
    asked = load_search_recipe(recipe, **fields, **named)
    if seeds is not None and asked.table is not None:
        raise ConfigError(
            f"seeds={seeds} has no effect on {recipe}, whose table is trained once a row: leave it out"
        )
    if seeds is not None:
        asked = asked.model_copy(update={"search": asked.search.model_copy(update={"repeats": seeds})})
    sources = _sources(asked, train, validation, test, None)
    if sources.train is None:
        raise ConfigError(
            "there is nothing to search on: name a file by --train, or data.train in the recipe"
        )
    console = Console(file=sys.stderr, quiet=quiet)
    how: dict[str, Any] = {"resume": resume, "storage": storage, "console": console}
    if asked.table is not None:
        rows = [load_recipe(row.recipe, **fields, **named) for row in asked.table.rows]
        return run_table(asked.table, rows, sources, str(output), **how)
    return run_study(asked, sources, str(output), **how)
