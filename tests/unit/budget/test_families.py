from types import SimpleNamespace

import pytest

from submillion.budget.families import FAMILIES, family_of, length_limit, max_positions
from submillion.errors import ConfigError

SUPPORTED = "albert, bert, camembert, deberta, deberta-v2, distilbert, electra, modernbert, mpnet, roberta, xlm-roberta"


def test_the_supported_families():
    assert ", ".join(sorted(FAMILIES)) == SUPPORTED
    assert all(family.model_type == name for name, family in FAMILIES.items())


@pytest.mark.parametrize("model_type", [*FAMILIES])
def test_no_feed_forward_suffix_matches_a_head_layer(model_type):
    family = FAMILIES[model_type]
    for pattern in family.named_sets()["all-linear"]:
        assert not any(layer.endswith(f".{pattern}") for layer in (*family.head, *family.idle_when_bare))


def test_another_family_is_refused_by_name():
    with pytest.raises(ConfigError) as caught:
        family_of("xlnet", "xlnet/xlnet-base-cased")
    assert str(caught.value) == (
        f"model='xlnet/xlnet-base-cased' is of family 'xlnet', which is not supported: supported are {SUPPORTED}. "
        "Choose an encoder of one of them."
    )
    with pytest.raises(ConfigError) as caught:
        family_of("t5")
    assert str(caught.value) == (
        f"there is no family 't5': supported are {SUPPORTED}. Choose an encoder of one of them."
    )


def config(model_type: str, positions: int, pad: int) -> SimpleNamespace:
    return SimpleNamespace(model_type=model_type, max_position_embeddings=positions, pad_token_id=pad)


@pytest.mark.parametrize(
    ("model_type", "positions", "pad", "limit"),
    [
        ("bert", 512, 0, 512),
        ("roberta", 514, 1, 512),
        ("xlm-roberta", 514, 1, 512),
        ("camembert", 514, 1, 512),
        ("mpnet", 514, 1, 512),
        ("distilbert", 512, 0, 512),
        ("modernbert", 8192, 50283, 8192),
    ],
)
def test_position_ids_of_the_roberta_kind_start_after_padding(model_type, positions, pad, limit):
    assert max_positions(config(model_type, positions, pad)) == limit


def test_the_lower_limit_of_tokenizer_and_model_holds():
    bert = config("bert", 512, 0)
    assert length_limit(SimpleNamespace(model_max_length=256), bert) == 256
    assert length_limit(SimpleNamespace(model_max_length=int(1e30)), bert) == 512
