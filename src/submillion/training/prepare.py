"""All that stands before the first step: checked rows, a plan, tokens, and a recipe without open ends."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rich.console import Console

from submillion.budget.families import length_limit, max_positions
from submillion.budget.methods import FAST
from submillion.budget.plan import ALLOCATE, Plan, make_plan
from submillion.budget.targets import DEFAULT
from submillion.data.label_form import labels_in
from submillion.data.pairs import text_columns_of
from submillion.data.splits import Splits, load_splits
from submillion.data.standard_input import NAME, ONE_SET, STANDARD_INPUT, is_standard_input
from submillion.data.token_cache import kept_tokens, tokens_of_splits
from submillion.data.tokens import TokenRows, choose_max_length, cut
from submillion.data.windows import Windows
from submillion.encoders import load_config, load_tokenizer, resolve_encoder
from submillion.errors import ConfigError, one_line
from submillion.model.build import Classifier, build_model
from submillion.model.device import choose_device, choose_numerics, why_exact, why_slow
from submillion.model.initialise import start_from_components
from submillion.multi_label import SINGLE_LABEL
from submillion.recipe import SOURCE_FIELDS, DataConfig, Recipe, TrainingConfig, default_epochs
from submillion.terminal import on_one_line
from submillion.training.allocate import allocate_ranks, principal_components
from submillion.training.checks import check_training
from submillion.training.fit import Labelled
from submillion.training.multi_label import check_multi_label, resolved_for
from submillion.training.unlabelled import Unlabelled, read_unlabelled
from submillion.training.weights import named_weights, said_of_weights

MIN_LENGTH = 4
"""Fewer tokens than these are no text, the special ones included."""


@dataclass(frozen=True)
class Sources:
    """What is read: a path, `-`, `hub:NAME`, or rows in memory, for each split.

    Raises:
        ConfigError: If two of them are standard input.
    """

    train: Any
    validation: Any = None
    test: Any = None
    unlabelled: Any = None

    def __post_init__(self) -> None:
        piped = [name for name in SOURCE_FIELDS if is_standard_input(getattr(self, name))]
        if len(piped) > 1:
            raise ConfigError(f"{' and '.join(piped)} are both {STANDARD_INPUT!r}: {ONE_SET}")

    def described(self) -> dict[str, str | None]:
        """Return each source as text for `run.json`."""
        return {
            name: None
            if value is None
            else NAME
            if is_standard_input(value)
            else str(value)
            if isinstance(value, str) or hasattr(value, "__fspath__")
            else f"<{type(value).__name__} in memory>"
            for name, value in ((name, getattr(self, name)) for name in SOURCE_FIELDS)
        }


@dataclass(frozen=True)
class Prepared:
    """All that stands before the first step: checked rows, tokens, the plan, the resolved recipe.

    ``tokens`` is of each split that is there, and of the ``unlabelled`` texts.
    """

    recipe: Recipe
    encoder: str
    splits: Splits
    plan: Plan
    tokens: dict[str, TokenRows]
    unlabelled: Unlabelled | None = None

    def build(self, numerics: str | None = None) -> Classifier:
        """Build the planned model afresh, the same one each time; in the recipe's numerics unless told otherwise."""
        model = build_model(
            self.plan,
            self.encoder,
            self.splits.label_names,
            seed=self.recipe.seed,
            base_dropout=self.recipe.model.base_dropout,
            numerics=numerics or self.recipe.training.numerics or "exact",
            pieces=self.recipe.training.pieces,
            problem_type=self.recipe.data.problem_type or SINGLE_LABEL,
        )
        if self.plan.init_lora_weights == "eva":
            start_from_components(model.encoder, self._components)
        return model

    @cached_property
    def _components(self) -> dict[str, Any]:
        """What EVA starts from; all train rows are looked at, their labels are not."""
        ids = self.tokens["train"].input_ids
        return principal_components(self.plan, self.encoder, self.splits.label_names, ids, self.recipe.seed)

    def embedder(self, model: Classifier) -> Classifier:
        """Return what embeds rows for the baselines: ``model``, or one in bf16 for int8, in which nothing predicts."""
        return self.build("fast") if self.recipe.training.numerics == "int8" else model

    def allocated(self, plan: Plan, seed: int) -> Plan:
        """Return a uniform plan with its ranks given out by what the layers read of the train rows."""
        return allocate_ranks(
            plan, self.encoder, self.splits.label_names, self.tokens["train"].input_ids, seed
        )

    def replanned(self, recipe: Recipe, plan: Plan, n_rows: int) -> "Prepared":
        """Return the same rows and tokens for another recipe and plan, to be trained on ``n_rows`` of them."""
        resolved = _resolved(recipe, plan, n_rows, self.tokens["train"].max_length)
        return replace(self, recipe=resolved, plan=plan)

    @property
    def train(self) -> Labelled:
        """The rows to train on."""
        return Labelled(self.tokens["train"].input_ids, self.splits.train.labels)

    @property
    def validation(self) -> Labelled | None:
        """The rows that choose the epoch, None where there are none."""
        rows = self.splits.validation
        return None if rows is None else Labelled(self.tokens["validation"].input_ids, rows.labels)


def prepare(recipe: Recipe, sources: Sources, console: Console, *, for_many: bool = False) -> Prepared:
    """Read and check the rows, choose the plan, tokenise; nothing is written yet.

    Args:
        recipe: What to do.
        sources: What to read.
        console: Where it is said.
        for_many: Other plans will follow (`Prepared.replanned`): the recipe's own need not fit, and is not said.
            Unlabelled texts are not read.
    """
    _check_trackers(recipe.training.report_to)
    encoder = resolve_encoder(recipe.model.model)
    config = load_config(encoder)
    recipe, splits, unlabelled = _read(recipe, sources, for_many)
    _say_notes(splits, console)
    plan = make_plan(encoder, len(splits.label_names), **recipe.budget.model_dump(), must_fit=not for_many)
    tokenizer = load_tokenizer(encoder)
    tokens, stride = _tokenize(tokenizer, splits, recipe.data, _text_limit(tokenizer, config, plan))
    if unlabelled is not None:
        whole = kept_tokens(tokenizer, unlabelled.texts)
        tokens["unlabelled"] = cut(whole, tokens["train"].max_length, stride)
    weights = named_weights(recipe.training.class_weights, splits.label_names, splits.label_values)
    recipe = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"stride": stride}),
            "training": recipe.training.model_copy(update={"class_weights": weights}),
        }
    )
    resolved = _resolved(recipe, plan, len(splits.train), tokens["train"].max_length)
    if not for_many:
        check_training(resolved.training, plan, splits.validation is not None)
    prepared = Prepared(resolved, encoder, splits, plan, tokens, unlabelled)
    if recipe.budget.rank == ALLOCATE and not for_many:
        with console.status("giving out the ranks by what the layers read"):
            plan = prepared.allocated(plan, recipe.seed)
        prepared = prepared.replanned(recipe, plan, len(splits.train))
    if not for_many:
        _say_plan(plan, recipe.training, console)
    _say_rows(prepared, console)
    return prepared


def _read(recipe: Recipe, sources: Sources, for_many: bool) -> tuple[Recipe, Splits, Unlabelled | None]:
    """Read the rows; return the recipe for rows of their kind, the splits, and the unlabelled texts."""
    data = recipe.data
    text_columns = text_columns_of(data.text_columns, data.text_pair_column)
    label_column = labels_in(
        sources.train,
        problem_type=data.problem_type,
        label_column=data.label_column,
        label_columns=data.label_columns,
        label_separator=data.label_separator,
    )
    splits = load_splits(
        sources.train,
        validation=sources.validation,
        test=sources.test,
        text_columns=text_columns,
        label_column=label_column,
        validation_share=data.validation_share,
        calibration_share=data.calibration_share,
        min_rows_to_split=data.min_rows_to_split,
        max_rows_per_class=data.max_rows_per_class,
        label_names=data.label_names,
        seed=recipe.seed,
    )
    check_multi_label(recipe, splits.is_multi_label, sources.unlabelled is not None, for_many)
    recipe = resolved_for(recipe, splits.is_multi_label)
    _check_folds(recipe.evaluation.cv, splits)
    if sources.unlabelled is None or for_many:  # the short trainings of a search do without
        return recipe, splits, None
    unlabelled = read_unlabelled(
        sources.unlabelled, sources.test, splits, text_columns, recipe.data.label_column
    )
    return recipe, replace(splits, notes=(*splits.notes, *unlabelled.notes)), unlabelled


def _say_notes(splits: Splits, console: Console) -> None:
    """Say what was repaired or left out, the train file by its last name."""
    source = splits.train.source
    for note in splits.notes:
        console.print(
            on_one_line(note.replace(source, Path(source).name)),
            style="dim",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


def _text_limit(tokenizer: Any, config: Any, plan: Plan) -> int:
    """Return the most tokens that a text may have; virtual ones take positions too.

    Raises:
        ConfigError: If they leave no room.
    """
    limit = length_limit(tokenizer, config)
    if plan.num_virtual_tokens is not None:
        limit = min(limit, max_positions(config) - plan.num_virtual_tokens)
    if limit < MIN_LENGTH:
        raise ConfigError(
            f"num_virtual_tokens={plan.num_virtual_tokens} leaves no room for the text: this encoder takes "
            f"{max_positions(config)} tokens in all; lower it"
        )
    return limit


def _check_folds(folds: int | None, splits: Splits) -> None:
    """Refuse more folds than the rarest label has texts.

    Raises:
        ConfigError: Before anything is written.
    """
    if folds is None:
        return
    texts: dict[int, set[str]] = {}
    for text_hash, label in zip(splits.train.hashes, splits.train.labels.tolist(), strict=True):
        texts.setdefault(label, set()).add(text_hash)
    fewest = min(texts, key=lambda label: len(texts[label]))
    if len(texts[fewest]) < folds:
        raise ConfigError(
            f"cv={folds} needs at least {folds} different texts of every label; {splits.label_names[fewest]!r} has "
            f"{len(texts[fewest])}: lower cv, or leave it out"
        )


def _check_trackers(names: tuple[str, ...]) -> None:
    """Refuse a tracker that transformers does not know or that is not installed.

    Raises:
        ConfigError: Before anything is read.
    """
    from transformers.integrations import get_reporting_integration_callbacks

    try:
        for tracker in get_reporting_integration_callbacks(list(names)):
            tracker()
    except (ValueError, ImportError, RuntimeError) as error:
        raise ConfigError(f"report_to={','.join(names)!r}: {one_line(error)}") from None


def _tokenize(
    tokenizer: Any, splits: Splits, data: DataConfig, limit: int
) -> tuple[dict[str, TokenRows], int | None]:
    """Tokenise every split once; train chooses where all of them are cut.

    Returns:
        The rows of each split, and what windows share; None where there are none.
    """
    wanted = data.max_length
    if data.windows is not None and splits.are_pairs:
        raise ConfigError(
            "windows=mean is for single texts: leave it out for pairs, which are cut at max_length"
        )
    if data.windows is None and data.stride is not None:
        raise ConfigError(f"stride={data.stride} needs windows=mean: give both, or leave it out")
    if wanted is not None and wanted > limit:
        raise ConfigError(
            f"max_length={wanted} is above the {limit} tokens that this encoder takes: lower it"
        )
    present = {
        name: rows
        for name in ("train", "validation", "calibration")
        if (rows := getattr(splits, name)) is not None
    }
    whole = tokens_of_splits(tokenizer, present)
    max_length = wanted or choose_max_length(whole["train"].lengths, limit)
    stride = None
    if data.windows is not None:
        stride = max_length // 4 if data.stride is None else data.stride
        if stride >= max_length - 2:
            raise ConfigError(
                f"stride={stride} must be below max_length - 2 = {max_length - 2}: windows would not move on"
            )
    return {name: cut(rows, max_length, stride) for name, rows in whole.items()}, stride


def _resolved(recipe: Recipe, plan: Plan, n_rows: int, max_length: int) -> Recipe:
    """Return the recipe with every default that the data or the plan decided filled in."""
    epochs = recipe.training.num_train_epochs or default_epochs(n_rows)
    base_dropout = recipe.model.base_dropout
    numerics = choose_numerics(
        recipe.training.numerics,
        base_dropout,
        plan.model_type,
        fp16=recipe.training.fp16,
        slow=why_slow(plan),
    )
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"max_length": max_length}),
            "budget": recipe.budget.model_copy(
                update={
                    "target_modules": tuple(plan.target_modules) or DEFAULT,
                    "rank": plan.rank,
                    "rank_pattern": dict(plan.rank_pattern) or None,
                    "lora_alpha": plan.lora_alpha or None,
                    "head": plan.head,
                }
            ),
            "model": recipe.model.model_copy(
                update={"base_dropout": base_dropout if numerics == "exact" else 0.0}
            ),
            "training": recipe.training.model_copy(update={"num_train_epochs": epochs, "numerics": numerics}),
        }
    )


def _say_plan(plan: Plan, asked: TrainingConfig, console: Console) -> None:
    """Say what will be trained, before it starts, and why in exact numerics where nothing asks for these."""
    say = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    say(
        f"plan: {described(plan)}, pooling {plan.pooling}: "
        f"{plan.trainable_parameters:,} of {plan.budget:,} trainable parameters"
    )
    if slow := why_slow(plan):
        say(f"  note: {slow} runs in exact numerics: the fast path serves {' and '.join(FAST)}")
    elif asked.numerics is None and not asked.fp16 and (reason := why_exact(plan.model_type)):
        say(f"  note: {reason}")
    for warning in plan.warnings:
        say(f"  note: {warning}")


def described(plan: Plan) -> str:
    """Return a plan's method, and what it adapts, in a few words."""
    if plan.num_virtual_tokens is not None:
        return f"{plan.method} of {plan.num_virtual_tokens} tokens"
    targets = ", ".join(plan.target_modules) or ", ".join(plan.matched_modules)
    if plan.rank is None:
        return f"{plan.method} on {targets}"
    ranks = sorted(plan.rank_pattern.values())
    rank = f"{ranks[0]} to {ranks[-1]}" if ranks else str(plan.rank)
    start = f", start {plan.init_lora_weights}" if plan.init_lora_weights else ""
    return f"{plan.method} rank {rank} on {targets}{start}"


def _say_rows(prepared: Prepared, console: Console) -> None:
    """Say on what it will be trained, and what is cut."""
    splits, tokens = prepared.splits, prepared.tokens["train"]
    share = tokens.n_cut / max(len(tokens), 1)
    say = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    held = ", ".join(
        f"{len(rows):,} for {name}"
        for name in ("validation", "calibration")
        if (rows := getattr(splits, name)) is not None
    )
    say(
        f"rows: {len(splits.train):,} to train on, {held or 'none held back'}; {len(splits.label_names)} labels"
    )
    if isinstance(tokens.input_ids, Windows):
        say(
            f"{100 * share:.1f} % of the train rows are longer than {tokens.max_length} tokens: they are read in windows that "
            f"share {prepared.recipe.data.stride}, {tokens.input_ids.counts.mean():.1f} a text"
        )
    else:
        say(f"texts are cut at {tokens.max_length} tokens: {100 * share:.1f} % of the train rows are longer")
    for sentence in said_of_weights(prepared.recipe.training):
        say(sentence)
    if prepared.recipe.training.fp16 and choose_device().type == "cpu":
        say("fp16 is asked for and there is no GPU: training runs in fp32")
    if splits.validation is None:
        say(
            "too few rows to hold any back: all of them train, and until `submillion evaluate` sees labelled rows no figure stands behind this run"
        )
