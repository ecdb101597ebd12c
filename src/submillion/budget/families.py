"""The family table: what differs between one encoder architecture and another.

Everything the budget knows of an architecture stands in one row of `FAMILIES`, keyed by the ``model_type`` of
its config. To add a family, add one row: build a tiny ``AutoModelForSequenceClassification`` of it, print
``named_modules()``, and copy the names into the fields below. `tests/integration/test_planned_is_built.py` takes
its cases from the table, so the new row is compared with what PEFT really builds at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from submillion.errors import ConfigError

SAVED_BY_PEFT = ("classifier", "score")
"""Modules that PEFT's task SEQ_CLS trains and saves by itself (``peft.PeftModelForSequenceClassification``)."""


@dataclass(frozen=True)
class Family:
    """The names of one architecture, as transformers gives them.

    Attributes:
        model_type: ``config.model_type``.
        base_prefix: Attribute of the sequence-classification model that holds the encoder.
        blocks: Path of the list of blocks inside the encoder; its last name is PEFT's ``layers_pattern``.
        query: Suffix of the query projection inside a block; empty where ``fused`` holds it.
        key: Suffix of the key projection, likewise.
        value: Suffix of the value projection, likewise.
        attention_output: Suffix of the linear layer after attention.
        feed_forward: Suffixes of the feed-forward layers. They must match no head layer; they may match the
            attention output too (BERT's ``output.dense`` does).
        head: Head layers of the sequence-classification model, in the order of the forward pass; the last one
            gives the logits.
        pretrained_head: Those of ``head`` that an ordinary pretrained checkpoint holds.
        modules_to_save: Modules that PEFT copies, trains and saves, all of ``head`` inside them.
        idle_when_bare: Linear layers of the bare encoder that do no work when its tokens are averaged.
        has_position_offset: Whether position ids start after the padding id, as in RoBERTa.
        has_fast_block: Whether its blocks are BERT's, which `submillion.fast` knows how to run.
        fused: Suffix of the one projection that puts out query, key and value together; empty where there is none.
        has_shared_blocks: Whether all blocks are one, run again and again: an adapter on it counts once.
        dropouts: Fields of the config that set the dropout inside the encoder.
        head_dropout: Field that sets the head's, where it follows the encoder's unless it is set; else empty.
    """

    model_type: str
    base_prefix: str
    blocks: str
    query: str
    key: str
    value: str
    attention_output: str
    feed_forward: tuple[str, ...]
    head: tuple[str, ...]
    pretrained_head: tuple[str, ...]
    modules_to_save: tuple[str, ...]
    idle_when_bare: tuple[str, ...]
    has_position_offset: bool = False
    has_fast_block: bool = False
    fused: str = ""
    has_shared_blocks: bool = False
    dropouts: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    head_dropout: str = "classifier_dropout"

    @property
    def layers_pattern(self) -> str:
        """The name of the list of blocks, as PEFT's ``layers_pattern`` wants it.

        >>> FAMILIES["bert"].layers_pattern
        'layer'
        """
        return self.blocks.rsplit(".", 1)[-1]

    def letters(self) -> dict[str, str]:
        """Return the one-letter names of the attention projections and what they stand for.

        >>> FAMILIES["roberta"].letters()
        {'q': 'query', 'k': 'key', 'v': 'value', 'o': 'attention.output.dense'}
        >>> FAMILIES["modernbert"].letters()
        {'o': 'attn.Wo'}
        """
        letters = {"q": self.query, "k": self.key, "v": self.value, "o": self.attention_output}
        return {letter: name for letter, name in letters.items() if name}

    def named_sets(self) -> dict[str, tuple[str, ...]]:
        """Return the named target sets as PEFT suffix patterns.

        >>> FAMILIES["roberta"].named_sets()["qv"]
        ('query', 'value')
        >>> FAMILIES["roberta"].named_sets()["all-linear"]
        ('query', 'key', 'value', 'intermediate.dense', 'output.dense')
        >>> FAMILIES["modernbert"].named_sets()
        {'qkv': ('attn.Wqkv',), 'attention': ('attn.Wqkv', 'attn.Wo'), 'all-linear': ('attn.Wqkv', 'attn.Wo', 'mlp.Wi', \
'mlp.Wo')}
        """
        projections = (self.fused,) if self.fused else (self.query, self.key, self.value)
        sets = {} if self.fused else {"q": (self.query,), "qv": (self.query, self.value)}
        return sets | {
            "qkv": projections,
            "attention": (*projections, self.attention_output),
            "all-linear": (*projections, *self._after_attention()),
        }

    def default_targets(self) -> tuple[str, ...]:
        """Return what is adapted unless told otherwise: the query (or what holds it) and every layer after attention.

        >>> FAMILIES["bert"].default_targets(), FAMILIES["mpnet"].default_targets()
        (('query', 'dense'), ('attn.q', 'attn.o', 'intermediate.dense', 'output.dense'))
        """
        after = self._after_attention()
        if {self.attention_output, *after} == {
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        }:
            after = ("dense",)
        return (self.fused or self.query, *after)

    def _after_attention(self) -> tuple[str, ...]:
        """Return the suffixes of the attention output and of the feed-forward layers, each hit once."""
        hit_already = any(self.attention_output.endswith(f".{suffix}") for suffix in self.feed_forward)
        return self.feed_forward if hit_already else (self.attention_output, *self.feed_forward)


def _bert_like(model_type: str, *, head: str) -> Family:
    """Return a row for the architectures whose blocks are named as BERT's are."""
    is_bert = head == "bert"
    return Family(
        model_type=model_type,
        base_prefix=head,
        blocks="encoder.layer",
        query="query",
        key="key",
        value="value",
        attention_output="attention.output.dense",
        feed_forward=("intermediate.dense", "output.dense"),
        head=("bert.pooler.dense", "classifier") if is_bert else ("classifier.dense", "classifier.out_proj"),
        pretrained_head=("bert.pooler.dense",) if is_bert else (),
        modules_to_save=("pooler", "classifier") if is_bert else ("classifier",),
        idle_when_bare=("pooler.dense",),
        has_position_offset=not is_bert,
        has_fast_block=True,
    )


_OF_BERT: dict[str, Any] = {
    "blocks": "encoder.layer",
    "attention_output": "attention.output.dense",
    "feed_forward": ("intermediate.dense", "output.dense"),
}
"""What other families' blocks share with BERT's."""

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        row.model_type: row
        for row in (
            _bert_like("bert", head="bert"),
            _bert_like("roberta", head="roberta"),
            _bert_like("xlm-roberta", head="roberta"),
            _bert_like("camembert", head="roberta"),
            Family(
                model_type="distilbert",
                base_prefix="distilbert",
                blocks="transformer.layer",
                query="q_lin",
                key="k_lin",
                value="v_lin",
                attention_output="out_lin",
                feed_forward=("lin1", "lin2"),
                head=("pre_classifier", "classifier"),
                pretrained_head=(),
                modules_to_save=("pre_classifier", "classifier"),
                idle_when_bare=(),
                dropouts=("dropout", "attention_dropout"),
                head_dropout="",
            ),
            Family(
                **_OF_BERT,
                model_type="deberta",
                base_prefix="deberta",
                query="",
                key="",
                value="",
                fused="in_proj",
                head=("pooler.dense", "classifier"),
                pretrained_head=(),
                modules_to_save=("pooler", "classifier"),
                idle_when_bare=(),
                head_dropout="cls_dropout",
            ),
            Family(
                **_OF_BERT,
                model_type="deberta-v2",  # and v3
                base_prefix="deberta",
                query="query_proj",
                key="key_proj",
                value="value_proj",
                head=("pooler.dense", "classifier"),
                pretrained_head=(),
                modules_to_save=("pooler", "classifier"),
                idle_when_bare=(),
                head_dropout="cls_dropout",
            ),
            Family(
                **_OF_BERT | {"attention_output": "attn.o"},
                model_type="mpnet",
                base_prefix="mpnet",
                query="attn.q",
                key="attn.k",
                value="attn.v",
                head=("classifier.dense", "classifier.out_proj"),
                pretrained_head=(),
                modules_to_save=("classifier",),
                idle_when_bare=("pooler.dense",),
                has_position_offset=True,
                head_dropout="",  # the head has no field of its own
            ),
            Family(
                **_OF_BERT,
                model_type="electra",
                base_prefix="electra",
                query="query",
                key="key",
                value="value",
                head=("classifier.dense", "classifier.out_proj"),
                pretrained_head=(),
                modules_to_save=("classifier",),
                idle_when_bare=(),
            ),
            Family(
                model_type="albert",
                base_prefix="albert",
                blocks="encoder.albert_layer_groups.0.albert_layers",
                query="query",
                key="key",
                value="value",
                attention_output="attention.dense",
                feed_forward=("ffn", "ffn_output"),
                head=("albert.pooler", "classifier"),
                pretrained_head=("albert.pooler",),
                modules_to_save=("pooler", "classifier"),
                idle_when_bare=("pooler",),
                has_shared_blocks=True,
                head_dropout="",
            ),
            Family(
                model_type="modernbert",
                base_prefix="model",
                blocks="layers",
                query="",
                key="",
                value="",
                fused="attn.Wqkv",
                attention_output="attn.Wo",
                feed_forward=("mlp.Wi", "mlp.Wo"),
                head=("head.dense", "head.norm", "classifier"),
                pretrained_head=("head.dense", "head.norm"),
                modules_to_save=("head", "classifier"),
                idle_when_bare=(),
                dropouts=("embedding_dropout", "attention_dropout", "mlp_dropout"),
                head_dropout="",
            ),
        )
    }
)
"""Every supported family by ``model_type``; MiniLM models of the sentence-transformers kind are ``bert``."""


def family_of(model_type: str, model: str = "") -> Family:
    """Return the row of ``model_type``.

    Args:
        model_type: As in the model's ``config.json``.
        model: The hub id or folder, for the message.

    Raises:
        ConfigError: If the family is not supported.

    >>> family_of("camembert").base_prefix
    'roberta'
    """
    if model_type not in FAMILIES:
        of = f"model={model!r} is of" if model else "there is no"
        refused = f"{of} family {model_type!r}" + (", which is not supported" if model else "")
        raise ConfigError(
            f"{refused}: supported are {', '.join(sorted(FAMILIES))}. Choose an encoder of one of them."
        )
    return FAMILIES[model_type]


def max_positions(config: Any) -> int:
    """Return how many tokens the model of ``config`` can read, special tokens included.

    RoBERTa's position ids start after the padding id: 514 positions hold 512 tokens.

    Args:
        config: A transformers ``PretrainedConfig`` of a supported family.

    Raises:
        ConfigError: If the family is not supported.

    >>> from types import SimpleNamespace
    >>> max_positions(SimpleNamespace(model_type="roberta", max_position_embeddings=514, pad_token_id=1))
    512
    >>> max_positions(SimpleNamespace(model_type="bert", max_position_embeddings=512, pad_token_id=0))
    512
    """
    offset = config.pad_token_id + 1 if family_of(config.model_type).has_position_offset else 0
    return int(config.max_position_embeddings - offset)


def length_limit(tokenizer: Any, config: Any) -> int:
    """Return the longest text in tokens, special ones included: the tokenizer's limit and the model's, the lower.

    Args:
        tokenizer: A transformers tokenizer; one without a limit says a very large number.
        config: A transformers ``PretrainedConfig`` of a supported family.

    Raises:
        ConfigError: If the family is not supported.

    >>> from types import SimpleNamespace
    >>> config = SimpleNamespace(model_type="roberta", max_position_embeddings=514, pad_token_id=1)
    >>> length_limit(SimpleNamespace(model_max_length=10**30), config)
    512
    """
    return min(int(tokenizer.model_max_length), max_positions(config))
