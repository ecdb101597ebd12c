"""The sections of a recipe, one frozen model a stage; the command's flags and the docs are made from their fields."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from submillion.speedups import SPEEDUPS

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

SOURCE_FIELDS = ("train", "validation", "test", "unlabelled")
"""The fields of `data` that say where rows lie; what the rows are is told by their sha256."""

CHOOSE = "choose"
"""An `adapter_scale`: validation chooses it."""

BALANCED = "balanced"
"""`class_weights` under which every label counts alike."""


def default_epochs(n_rows: int) -> float:
    """Return the passes over so many train rows where the recipe leaves them open.

    >>> [default_epochs(n_rows) for n_rows in (499, 500, 5000)]
    [12.0, 6.0, 3.0]
    """
    return 12.0 if n_rows < 500 else 6.0 if n_rows < 5000 else 3.0


class Section(BaseModel):
    """A frozen part of a recipe; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class DataConfig(Section):
    """What is read, and how its rows are divided."""

    train: str | None = Field(
        None, description="Labelled rows to train on: a file, a folder, hub:NAME, or - for standard input."
    )
    validation: str | None = Field(
        None, description="Labelled rows to choose the epoch by. Default: carved from train."
    )
    test: str | None = Field(
        None, description="Test rows. Only hashed, so that train rows shared with them are left out."
    )
    unlabelled: str | None = Field(
        None,
        description="Texts without labels, such as those to be classified. Those that a first training is sure of join "
        "train, and training starts anew, once.",
    )
    text_columns: tuple[str, ...] | None = Field(
        None, description="Columns joined by a space into the text. Default: found by their usual names."
    )
    text_pair_column: str | None = Field(
        None,
        description="Column of a second text, such as a hypothesis or an answer: each row is then a pair, and the encoder is "
        "given both. text_columns are those of the first.",
    )
    label_column: str | None = Field(
        None, description="Column of the label. Default: found by its usual names."
    )
    problem_type: Literal["single_label_classification", "multi_label_classification"] | None = Field(
        None,
        description="One label a row, or any number of them. Default: multi_label_classification where the label column "
        "holds lists, or label_separator or label_columns is given; else single_label_classification.",
    )
    label_separator: str | None = Field(
        None,
        min_length=1,
        description="What stands between the labels of a row in the label column, such as '|' or ','.",
    )
    label_columns: tuple[str, ...] | None = Field(
        None, min_length=2, description="Columns of 0 and 1, one a label, in place of one label column."
    )
    label_names: tuple[str, ...] | None = Field(
        None, description="Names for integer labels, in increasing order of the integers."
    )
    validation_share: float = Field(
        0.1, ge=0, lt=1, description="Share of train carved out for validation, from 0 up to below 1."
    )
    calibration_share: float = Field(
        0.05, ge=0, lt=1, description="Share of train carved out for calibration, from 0 up to below 1."
    )
    min_rows_to_split: int = Field(
        500, ge=0, description="Below this many rows nothing is carved: all rows train."
    )
    max_rows_per_class: int | None = Field(
        None, ge=1, description="Train on at most this many rows a class, drawn with the seed."
    )
    max_length: int | None = Field(
        None, ge=4, description="Cut texts at this many tokens. Default: what holds 95 % of the rows."
    )
    windows: Literal["mean"] | None = Field(
        None,
        description="mean: a text longer than max_length is not cut but read in overlapping windows; it trains by one of "
        "them an epoch, and is answered by the mean of all their logits.",
    )
    stride: int | None = Field(
        None,
        ge=0,
        description="With windows: tokens that a window shares with the one before. Default: a quarter of max_length.",
    )
    padding: Literal["longest", "max_length"] = Field(
        "longest", description="Pad a batch to its longest text, or always to max_length."
    )

    @field_validator("text_columns", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        """Take a name alone for a list of one."""
        return (value,) if isinstance(value, str) else value


class BudgetConfig(Section):
    """What may train, and where."""

    budget: int = Field(
        1_000_000, ge=1, description="Most parameters that may train, head included; inclusive."
    )
    method: str = Field(
        "lora",
        description="How the encoder is adapted, by PEFT's name: lora, rslora, dora, adalora, loha, lokr, vera, oft, boft, ia3, "
        "bitfit, ln_tuning or prompt_tuning.",
    )
    target_modules: str | tuple[str, ...] | None = Field(
        "default",
        description="What is adapted: q, qv, qkv, attention, all-linear, or name patterns as PEFT matches them. default: the "
        "query and every linear layer after attention; of ia3 key, value and the end of the feed-forward block, of bitfit "
        "all-linear.",
    )
    rank: Literal["allocate"] | Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="LoRA rank, or block size of oft and boft; allocate: its count given out by what the layers read. "
        "Default: the largest within the budget, at most max_rank.",
    )
    max_rank: Literal["usual"] | Annotated[int, Field(ge=1)] | None = Field(
        "usual",
        description="Largest rank taken where rank is left open; usual: 8, of vera 256, of oft 32; null: whatever fits.",
    )
    lora_alpha: float | None = Field(None, gt=0, description="LoRA scale numerator. Default: twice the rank.")
    lora_dropout: float = Field(
        0.1, ge=0, lt=1, description="Dropout before LoRA's A matrix, from 0 up to below 1."
    )
    head: Literal["full", "output"] | None = Field(
        None, description="Train every head layer, or only the last projection. With pooling first."
    )
    pooling: Literal["first", "mean"] = Field(
        "mean", description="First token and the model's own head, or mean of tokens and one linear layer."
    )
    layers: str | tuple[int, ...] = Field(
        "all", description="Blocks that are adapted: all, last:K, or numbers from 0 such as 0,1,5."
    )
    rank_pattern: dict[str, int] | None = Field(
        None, description="Another rank for single modules, by their whole names; 0: not adapted."
    )
    init_lora_weights: Literal["gaussian", "orthogonal", "eva", "pissa", "olora"] | None = Field(
        None, description="How LoRA's matrices start, with lora and rslora. Default: A at random, B at zero."
    )
    num_virtual_tokens: int = Field(
        20, ge=1, description="Virtual tokens before each text, with prompt_tuning."
    )


class ModelConfig(Section):
    """The encoder, and how its head starts."""

    model: str = Field(DEFAULT_MODEL, description="The encoder: a hub id or a folder.")
    head_init: Literal["random", "probe"] = Field(
        "probe",
        description="Start the head's last layer at random, or from a linear probe of the train rows, or of some where there are very many (3,000, or 500 a label).",
    )
    base_dropout: float | None = Field(
        0.0, ge=0, lt=1, description="Dropout inside the frozen encoder; null: what its config says."
    )


class TrainingConfig(Section):
    """The optimisation, named as transformers' TrainingArguments names it."""

    num_train_epochs: float | None = Field(
        None,
        gt=0,
        description="Passes over train. Default: by its rows, 12 below 500, 6 below 5,000, else 3.",
    )
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate of AdamW.")
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        "cosine", description="Learning-rate schedule after the warm-up."
    )
    warmup_ratio: float = Field(
        0.06, ge=0, lt=1, description="Share of the steps over which the learning rate rises."
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decoupled weight decay.")
    max_grad_norm: float = Field(1.0, ge=0, description="Clip gradients at this norm; 0 never clips.")
    per_device_train_batch_size: int = Field(16, ge=1, description="Rows a micro-batch.")
    gradient_accumulation_steps: int = Field(1, ge=1, description="Micro-batches an optimiser step.")
    per_device_eval_batch_size: int = Field(64, ge=1, description="Rows a batch when nothing is trained.")
    label_smoothing_factor: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread over all labels."
    )
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="How much a row counts by its label, in the loss and in the baselines: balanced (every label alike), or "
        "a weight for each label named, 1 for the others. Default: every row alike.",
    )
    balanced_sampling: bool = Field(
        False,
        description="Draw every label equally often: rows of rare labels come several times an epoch, of others some.",
    )
    numerics: Literal["exact", "fast", "int8"] | None = Field(
        None,
        description="exact: fp32; fast: the frozen encoder in bf16, without dropout inside it; int8: its large products "
        "in int8, an approximation. Default: fast where the device has bf16 and base_dropout is 0, else exact.",
    )
    speedups: str | tuple[str, ...] = Field(
        "all",
        description="Pieces of the fast path that are on: all, none, or names from docs/reference/speed.md; with - before each, "
        "all but these.",
    )
    fp16: bool = Field(False, description="Mixed precision on a GPU; without one fp32 is used, and said.")
    metric_for_best_model: Literal["accuracy", "macro_f1", "micro_f1", "shifted_accuracy"] | None = Field(
        None,
        description="What picks the best epoch on validation; shifted_accuracy: the mean of accuracy on its rows and on the "
        "same with a fifth of their tokens dropped; micro_f1: of rows with several labels. Default: accuracy, of several "
        "labels a row micro_f1.",
    )
    early_stopping_patience: int | None = Field(
        3, ge=1, description="Stop after this many epochs without a better one. Needs validation."
    )
    average_epochs: int = Field(
        1,
        ge=1,
        description="Keep the mean of the weights at the ends of so many epochs: those up to the best one, without "
        "validation the last ones.",
    )
    word_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of a train row's tokens that are dropped, others in each epoch, from 0 up to below 1.",
    )
    adapter_scale: Literal["choose"] | Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="What the adapter is multiplied by after training, above 0 and at most 1; choose: the smallest of 0.5, "
        "0.7, 0.85 and 1 that costs at most one validation row in 300.",
    )
    self_training_threshold: float = Field(
        0.9,
        gt=0,
        le=1,
        description="With unlabelled: how probable a label must be for its text to join train.",
    )
    self_training_teacher: Literal["adapter_and_tfidf", "adapter"] = Field(
        "adapter_and_tfidf",
        description="With unlabelled: what gives the labels, the first training's adapter together with TF-IDF or alone.",
    )
    logging_steps: int = Field(10, ge=1, description="Optimiser steps between two lines of history.jsonl.")
    save_steps: int | None = Field(
        None,
        ge=1,
        description="Optimiser steps between two checkpoints. Default: 500 and at each epoch's end.",
    )
    keep_checkpoints: bool = Field(False, description="Keep checkpoints/ after success.")
    report_to: tuple[str, ...] = Field(
        (), description="Trackers that transformers reports to, such as tensorboard or wandb."
    )

    @field_validator("class_weights", mode="before")
    @classmethod
    def _labels_are_text(cls, value: Any) -> Any:
        """Take a label that YAML reads as a number for its name."""
        return (
            {str(label): weight for label, weight in value.items()} if isinstance(value, Mapping) else value
        )

    @field_validator("speedups")
    @classmethod
    def _known_speedups(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if value in (("all",), ("none",)):  # as the flag's list has it
            return value[0]
        if value in ("all", "none"):
            return value
        names = (value,) if isinstance(value, str) else value
        if unknown := [name for name in names if name.removeprefix("-") not in SPEEDUPS]:
            raise ValueError(f"no speed-up is called {unknown[0]!r}: all, none, or {', '.join(SPEEDUPS)}")
        if len({name.startswith("-") for name in names}) > 1:
            raise ValueError(
                "give names of speed-ups that are on, or with - before each those that are off, not both"
            )
        return value

    @property
    def pieces(self) -> frozenset[str]:
        """The names of the pieces that are on."""
        names = (self.speedups,) if isinstance(self.speedups, str) else self.speedups
        if names == ("none",):
            return frozenset()
        if names == ("all",) or any(name.startswith("-") for name in names):
            return frozenset(name for name in SPEEDUPS if f"-{name}" not in names)
        return frozenset(names)


class EvaluationConfig(Section):
    """How results are compared."""

    margin: float = Field(
        0.5, gt=0, lt=100, description="The difference in accuracy that would matter, in points of 100."
    )
    cv: int | None = Field(
        None,
        ge=2,
        description="Compare adapter, baselines, and adapter and TF-IDF together by this many folds of train. Costs as many trainings.",
    )
    answer_by: Literal[
        "recommended", "adapter", "tfidf_svm", "probe_mean", "probe_first", "adapter_and_tfidf"
    ] = Field(
        "recommended",
        description="What `predict` answers by; recommended: what cross-validation found most accurate, else the adapter.",
    )


class Recipe(Section):
    """Everything a training is asked to do; the defaults are the recipe for the default encoder."""

    seed: int = Field(42, ge=0, lt=2**32, description="Reaches split, shuffle, initialisation and dropout.")
    data: DataConfig = DataConfig()
    budget: BudgetConfig = BudgetConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    SECTIONS: ClassVar[tuple[str, ...]] = ("data", "budget", "model", "training", "evaluation")


def field_sections() -> dict[str, str]:
    """Return every recipe field but the seed, with the section that holds it."""
    return {
        name: section
        for section in Recipe.SECTIONS
        for name in Recipe.model_fields[section].default.__class__.model_fields
    }
