import re

import pytest

from submillion.budget.families import FAMILIES
from submillion.budget.targets import find_hits, is_hit, parse_layers, parse_targets
from submillion.errors import ConfigError

ROBERTA = FAMILIES["roberta"]
BLOCK = {
    "attention": None,
    "attention.self.query": (8, 8),
    "attention.self.key": (8, 8),
    "attention.self.value": (8, 8),
    "attention.output": None,
    "attention.output.dense": (8, 8),
    "attention.output.LayerNorm": None,
    "intermediate.dense": (16, 8),
    "output": None,
    "output.dense": (8, 16),
}
MODULES = {
    "roberta": None,
    "roberta.encoder": None,
    **{f"roberta.encoder.layer.{n}.{name}": shape for n in (0, 1) for name, shape in BLOCK.items()},
    "classifier": None,
    "classifier.dense": (8, 8),
    "classifier.out_proj": (4, 8),
}


def hits(*patterns, layers="all"):
    return find_hits(patterns, MODULES, left_out=("classifier",), layers=layers, family=ROBERTA, model="M")


@pytest.mark.parametrize(
    ("wish", "patterns"),
    [
        ("q", ("query",)),
        ("qv", ("query", "value")),
        ("qkv", ("query", "key", "value")),
        ("q,v,k", ("query", "value", "key")),
        ("qvk", ("query", "value", "key")),
        ("o", ("attention.output.dense",)),
        ("attention", ("query", "key", "value", "attention.output.dense")),
        ("all-linear", ("query", "key", "value", "intermediate.dense", "output.dense")),
        ("query,dense", ("query", "dense")),
        (" q , dense,query", ("query", "dense")),
        (["query", "dense"], ("query", "dense")),
        (("q", "intermediate.dense"), ("query", "intermediate.dense")),
    ],
)
def test_wishes_become_peft_patterns(wish, patterns):
    assert parse_targets(wish, ROBERTA) == patterns


@pytest.mark.parametrize("wish", ["", " , ", []])
def test_a_wish_that_names_nothing(wish):
    with pytest.raises(ConfigError) as caught:
        parse_targets(wish, ROBERTA)
    assert str(caught.value) == (
        f"target_modules={wish!r} names nothing: give one of q, qv, qkv, attention, all-linear, or name patterns such "
        "as 'query,dense'."
    )


@pytest.mark.parametrize(
    ("wish", "layers"),
    [
        ("all", "all"),
        ("last:1", (5,)),
        ("last:6", "all"),
        ("0, 1,5", (0, 1, 5)),
        ([3, 1, 3], (1, 3)),
        ((0, 1, 2, 3, 4, 5), "all"),
    ],
)
def test_layers(wish, layers):
    assert parse_layers(wish, 6) == layers


@pytest.mark.parametrize("wish", ["last:0", "last:7", "6", [-1], [], "first:2", "", "1,,2", "last:-1"])
def test_layers_that_are_none(wish):
    with pytest.raises(ConfigError) as caught:
        parse_layers(wish, 6)
    assert str(caught.value) == (
        f"layers={wish!r} does not name blocks of this encoder: it has 6, numbered 0 to 5. Give 'all', 'last:K' with "
        "K from 1 to 6, or numbers such as '0,1'."
    )


def test_a_suffix_matches_whole_names_only():
    assert is_hit("a.layer.1.output.dense", "dense", "all", "layer")
    assert is_hit("a.layer.1.attention.output.dense", "output.dense", "all", "layer")
    assert not is_hit("a.layer.1.output.dense2", "dense", "all", "layer")
    assert not is_hit("a.layer.1.subquery", "query", "all", "layer")


def test_layers_leave_out_what_lies_in_no_block():
    assert not is_hit("classifier.dense", "dense", (0,), "layer")
    assert is_hit("a.layer.10.output.dense", "dense", (10,), "layer")
    assert not is_hit("a.layer.10.output.dense", "dense", (1,), "layer")


def test_a_whole_name_is_hit_whatever_the_layers():
    assert is_hit("a.layer.0.query", "a.layer.0.query", (1,), "layer")


def test_modules_are_listed_under_each_pattern_and_counted_once():
    found = hits("attention.output.dense", "dense")
    assert len(found.by_pattern["attention.output.dense"]) == 2
    assert len(found.by_pattern["dense"]) == 6
    assert len(found.adapted) == 6
    assert found.in_head == {"dense": ("classifier.dense",)}


def test_chosen_layers_only():
    assert [*hits("query", layers=(1,)).adapted] == ["roberta.encoder.layer.1.attention.self.query"]
    assert hits("dense", layers=(1,)).in_head == {}


def test_patterns_that_hit_nothing_are_reported_together_with_what_there_is():
    with pytest.raises(ConfigError) as caught:
        hits("query", "q_proj", "out_proj", "output", "classifier")
    assert str(caught.value) == (
        "target_modules of M (roberta): 'q_proj' matches no module; 'out_proj' matches only classifier.out_proj, of "
        "the head, which takes no adapter; 'output' matches modules that are not linear layers "
        "(roberta.encoder.layer.0.attention.output is one of 4); 'classifier' matches only classifier, of the head, "
        "which takes no adapter. Its linear layers end in attention.output.dense, attention.self.key, "
        "attention.self.query, attention.self.value, intermediate.dense, output.dense. Give those, or a named set: q, "
        "qv, qkv, attention, all-linear."
    )


def test_a_pattern_is_no_regular_expression():
    with pytest.raises(ConfigError, match=re.escape("'.*query' matches no module")):
        hits(".*query")
