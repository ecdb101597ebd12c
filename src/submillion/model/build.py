"""Build the classifier that a plan describes, and refuse anything else."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.modeling_outputs import SequenceClassifierOutput

from submillion.budget.families import family_of
from submillion.budget.methods import is_of_adapter
from submillion.budget.plan import Plan
from submillion.encoders import how_to_get, load_config
from submillion.errors import ConfigError, EncoderNotFound
from submillion.fast.install import every_token, install
from submillion.model.adapter import assert_planned, attach, quiet_peft
from submillion.model.device import choose_device, keep_freed_memory
from submillion.model.initialise import MovedBase, initialise
from submillion.multi_label import MULTI_LABEL, SINGLE_LABEL

FINGERPRINT_VALUES = 256
"""About so many values of each weight go into `Classifier.base_fingerprint`."""


class Classifier(nn.Module):
    """A frozen encoder with an adapter and a head.

    With `pooling: first`, ``encoder`` is PEFT's sequence-classification model and holds the head. With
    `pooling: mean`, ``encoder`` is PEFT's wrapping of the bare encoder and ``head`` is one linear layer on the
    L2-normalised mean of the tokens (Reimers and Gurevych 2019, arXiv:1908.10084, section 3).

    Attributes:
        base_fingerprint: A sha256 over a sample of every frozen weight as it was loaded, by which another base is
            refused.
        moved: What LoRA's start took out of the frozen weights; None where nothing was.
    """

    def __init__(self, encoder: Any, head: nn.Linear | None):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.moved: MovedBase | None = None
        self._mode: bool | None = None  # as `train` set it last; what was loaded comes in evaluation mode
        self.base_fingerprint = _fingerprint(self.bare_encoder)

    def train(self, mode: bool = True) -> "Classifier":
        """Set training mode; nothing is done where it is set already, for the Trainer sets it before each step."""
        if self._mode is not mode:
            super().train(mode)
            self._mode = mode
        return self

    @property
    def config(self) -> Any:
        """The encoder's transformers config."""
        return self.encoder.get_base_model().config

    @property
    def bare_encoder(self) -> Any:
        """The encoder without a classification head, LoRA layers in place."""
        model = self.encoder.get_base_model()
        return model if self.head is not None else getattr(model, model.base_model_prefix)

    @property
    def n_virtual_tokens(self) -> int:
        """How many tokens prompt tuning puts before a text; the encoder's positions hold these too."""
        config = self.encoder.active_peft_config
        return int(config.num_virtual_tokens) if config.is_prompt_learning else 0

    @property
    def last_projection(self) -> nn.Linear:
        """The trained linear layer that puts out the logits."""
        if self.head is not None:
            return self.head
        classifier = self.encoder.get_base_model().classifier
        trained = classifier.modules_to_save[classifier.active_adapter]
        return trained if isinstance(trained, nn.Linear) else trained.out_proj

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Return logits `[n, n_labels]` and, with labels `[n]`, transformers' own classification loss.

        ``kwargs`` holds the Trainer's ``num_items_in_batch``, by which a loss that is summed over the
        micro-batches of one step is divided.
        """
        if self.head is None:
            logits = self.encoder(input_ids=input_ids, attention_mask=attention_mask).logits
        else:
            logits = self.head(self._mean(input_ids, attention_mask))
        loss = None
        if labels is not None:
            # Not by the model's own loss: BERT's and RoBERTa's forget to divide by `num_items_in_batch`.
            self.config.num_labels = logits.shape[-1]
            self.config.problem_type = MULTI_LABEL if labels.is_floating_point() else SINGLE_LABEL
            loss = ForSequenceClassificationLoss(labels, logits, self.config, **kwargs)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _mean(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the mean over the text's own tokens, without the virtual ones that prompt tuning puts before them."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_of_tokens(hidden[:, -attention_mask.shape[1] :], attention_mask)

    def score(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits `[n, n_labels]` and the pooled embedding under the head `[n, width]`."""
        if self.head is not None:
            pooled = self._mean(input_ids, attention_mask)
            return self.head(pooled), pooled
        with _hidden_states_of(self.bare_encoder) as caught:
            logits = self.encoder(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits, caught[0][:, 0]

    def embed_frozen(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the frozen encoder's normalised mean of tokens and its first token, both `[n, width]`."""
        # Virtual tokens are put before a text by the PeftModel, never by the encoder itself.
        is_bare = self.encoder.active_peft_config.is_prompt_learning
        own_weights = nullcontext() if self.moved is None else self.moved.put_back(self.encoder)
        with nullcontext() if is_bare else self.encoder.disable_adapter(), every_token(self), own_weights:
            hidden = self.bare_encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_of_tokens(hidden, attention_mask), hidden[:, 0]

    def head_input(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor]:
        """Return what the last projection is given, `[n, width]`."""
        caught: list[torch.Tensor] = []
        handle = self.last_projection.register_forward_pre_hook(
            lambda _module, inputs: caught.append(inputs[0])
        )
        try:
            self(input_ids, attention_mask)
        finally:
            handle.remove()
        return (caught[0],)


def _fingerprint(bare_encoder: Any) -> str:
    """Return `Classifier.base_fingerprint`.

    Left out is what an adapter adds or what may have started at random: the pooler.
    """
    digest = hashlib.sha256()
    for name, value in sorted(bare_encoder.named_parameters()):
        if is_of_adapter(name) or "pooler" in name:
            continue
        flat = value.detach().reshape(-1)
        sample = flat[:: max(1, flat.numel() // FINGERPRINT_VALUES)].float().cpu().numpy()
        digest.update(name.replace(".base_layer", "").encode() + sample.tobytes())
    return digest.hexdigest()


def make_fast(model: Classifier, numerics: str, pieces: frozenset[str]) -> Classifier:
    """Put a built or loaded model into its numerics, and the fast blocks into it; return it.

    Args:
        model: In fp32, on its device.
        numerics: ``exact``, ``fast`` or ``int8``.
        pieces: Which speed-ups are on.
    """
    bare = model.bare_encoder
    if numerics != "exact":
        _narrow_base(bare)
    is_prompted = model.encoder.active_peft_config.is_prompt_learning  # its masks are PEFT's
    if not is_prompted and model.moved is None:  # fast blocks hold copies of the weights
        install(bare, pieces, numerics, first_token_only=model.head is None)
    if "keep_memory" in pieces and bare.device.type == "cpu":
        keep_freed_memory()
    return model


def _narrow_base(bare_encoder: Any) -> None:
    """Cast the frozen encoder to bf16, but for its pooler and, on a CPU, its layer norms.

    Layer norms in fp32 are faster there, and more exact; a GPU takes norm and input in one dtype only. What stays is copied: as it was loaded it may be a window of the whole checkpoint, mapped into memory.
    """
    for name, module in bare_encoder.named_modules():
        stays = "pooler" in name or (isinstance(module, nn.LayerNorm) and bare_encoder.device.type == "cpu")
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad and not is_of_adapter(name):
                parameter.data = parameter.data.clone() if stays else parameter.data.to(torch.bfloat16)


def mean_of_tokens(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the L2-normalised mean over the tokens that are no padding, `[n, tokens, width]` to `[n, width]`."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
    return nn.functional.normalize(mean, dim=-1)


@contextmanager
def _hidden_states_of(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Catch the last hidden states `[n, tokens, width]` that ``module`` puts out."""
    caught: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: caught.append(output[0]))
    try:
        yield caught
    finally:
        handle.remove()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' loading bars, and its table of weights that start at random: the plan says which do."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with quiet_peft():
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_base(
    encoder: str,
    pooling: str,
    label_names: Sequence[str],
    base_dropout: float | None = None,
    problem_type: str = SINGLE_LABEL,
) -> Any:
    """Load the encoder in fp32, with a fresh classification head where ``pooling`` is ``first``.

    Args:
        encoder: A folder or hub id.
        pooling: ``first`` or ``mean``.
        label_names: One name a label, in order.
        base_dropout: Overrides the dropout inside the encoder; the head's stays.
        problem_type: transformers' name.

    Raises:
        ConfigError: If the weights are not here, or not safetensors.
    """
    n_labels = len(label_names)
    try:
        config = _config(encoder, pooling, label_names, base_dropout, problem_type)
        auto = (
            transformers.AutoModel if pooling == "mean" else transformers.AutoModelForSequenceClassification
        )
        return auto.from_pretrained(
            encoder, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise ConfigError(
            f"the base {encoder!r} holds a classification head of another shape than {n_labels} labels need: "
            "use the encoder it was made from, or pooling='mean', which takes no head from the base"
        ) from None
    except SafetensorError as error:
        raise ConfigError(
            f"the base {encoder!r} has damaged weights ({error}): fetch or copy its model.safetensors again"
        ) from None
    except (OSError, EncoderNotFound) as error:
        reason = str(error.__cause__ or error).strip().split("\n")[0][:200]
        if Path(encoder).is_dir():
            raise ConfigError(
                f"the base {encoder!r} has no weights that are read: only model.safetensors is, never pickled ones; copy it into "
                f"the folder, or save them again as safetensors ({reason})"
            ) from None
        raise ConfigError(
            f"the base {encoder!r} has no weights here. {how_to_get(encoder)}. ({reason})"
        ) from None


def _config(
    encoder: str, pooling: str, label_names: Sequence[str], base_dropout: float | None, problem_type: str
) -> Any:
    """Return the encoder's config with its dropout, and where it shall have a classification head, the names."""
    config = load_config(encoder)
    family = family_of(config.model_type, encoder)
    if base_dropout is not None:
        if family.head_dropout and getattr(config, family.head_dropout, None) is None:
            setattr(config, family.head_dropout, config.hidden_dropout_prob)
        for name in family.dropouts:
            setattr(config, name, base_dropout)
    if pooling == "first":
        config.id2label = dict(enumerate(label_names))
        config.label2id = {name: index for index, name in enumerate(label_names)}
        config.problem_type = problem_type
    return config


def build_model(
    plan: Plan,
    encoder: str,
    label_names: Sequence[str],
    *,
    seed: int,
    base_dropout: float | None = None,
    numerics: str = "exact",
    pieces: frozenset[str] = frozenset(),
    problem_type: str = SINGLE_LABEL,
) -> Classifier:
    """Build what ``plan`` says and assert that nothing else trains.

    Args:
        plan: What shall train.
        encoder: A folder or hub id.
        label_names: One name a label, in order.
        seed: For what starts at random.
        base_dropout: Overrides the dropout inside the encoder; the head's stays.
        numerics: ``exact``, ``fast`` or ``int8``.
        pieces: Which speed-ups are on.
        problem_type: transformers' name.

    Raises:
        BudgetError: If what was built differs from the plan, naming the modules.
        ConfigError: If the encoder's weights are not here.
    """
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(seed)
        base = load_base(encoder, plan.pooling, label_names, base_dropout, problem_type)
        width = base.config.hidden_size
        head = nn.Linear(width, len(label_names)) if plan.pooling == "mean" else None
        model = Classifier(attach(base, plan), head)
        model.moved = initialise(model.encoder, plan)
    assert_planned(model, plan, "after build")
    return make_fast(model.to(choose_device()), numerics, pieces)
