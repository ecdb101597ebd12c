"""What tests share: no network, tiny encoders built in code, and rows whose labels can be learnt."""

import hashlib
import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MPLBACKEND"] = "agg"
os.environ["SUBMILLION_CACHE"] = "off"
os.environ["OMP_NUM_THREADS"] = "1"  # tiny models are faster so, and results do not depend on the machine

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

WORDS = {
    "sport": "goal match team season coach player league cup",
    "trade": "bank shares market profit price stock dollar deal",
    "space": "rocket orbit planet launch probe star moon crew",
}
FILLER = "the a of and to in on with for was said new will after its"


TINY = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
"""Fields of a config of any family that is built in no time."""

TINY_OF = {
    "albert": {"embedding_size": 16},
    "deberta": {
        "initializer_range": 0.1,
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_biased_input": False,
    },
    "deberta-v2": {
        "initializer_range": 0.1,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
    },
    "distilbert": {"hidden_dim": 64},
    "electra": {"embedding_size": 16, "initializer_range": 0.1},
    "modernbert": dict.fromkeys(
        ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "pad_token_id"), 0
    ),
}
"""What else a family's config needs: as its pretrained encoders have it, or small."""


BLOCK_SUBMILLION = """
import importlib.abc, json, os, re, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "submillion":
            raise ImportError("submillion is blocked")

sys.meta_path.insert(0, Blocker())
try:
    import submillion
except ImportError:
    pass
else:
    sys.exit("submillion can be imported")
"""
"""The start of a script of its own process: from there on submillion cannot be imported."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests use no network: {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the project that holds AG News and roberta-base's config and tokenizer."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is missing: AG News and roberta-base's tokenizer are read there")
    return SHARED


def learnable_rows(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return `n` (text, label) rows whose words tell the label, the labels in turn."""
    draw = random.Random(seed)
    rows = []
    for index in range(n):
        label = list(WORDS)[index % len(WORDS)]
        words = draw.sample(WORDS[label].split(), 3) + draw.choices(FILLER.split(), k=draw.randint(2, 12))
        draw.shuffle(words)
        rows.append((" ".join(words) + f" {index}", label))
    return rows


def sha256s(run: Path) -> dict[str, str]:
    """Return the sha256 of a run's matrices and of its head."""
    return {
        name: hashlib.sha256((run / "adapter" / name).read_bytes()).hexdigest()
        for name in ("adapter_model.safetensors", "head.safetensors")
    }


def what_counts(record: dict[str, Any]) -> dict[str, Any]:
    """Return what of a study must not depend on interruptions."""
    trainings = [
        {key: value for key, value in training.items() if key not in ("seconds", "rows_seen")}
        for training in record["trainings"]
        if "curve" in training
    ]
    return {
        "recommendation": record["recommendation"],
        "trainings": trainings,
        "test": record["test"]["accuracy"],
        "reads": len(record["test"]["reads"]),
    }


def write_csv(path: Path, rows: list[tuple[str, str]]) -> str:
    """Write (text, label) rows as CSV and return the path."""
    lines = ["text,label", *(f'"{text}","{label}"' for text, label in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return a function: family -> the folder of a random encoder of 2 layers and width 32 with its tokenizer."""
    built: dict[str, str] = {}

    def build(family: str = "bert") -> str:
        if family not in built:
            folder = tmp_path_factory.mktemp(f"tiny-{family}")
            write_encoder(folder, family)
            built[family] = str(folder)
        return built[family]

    return build


def write_encoder(folder: Path, family: str) -> None:
    """Write a random encoder of 2 layers and width 32, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    specials = ["<pad>", "<unk>", "<s>", "</s>"]
    words = sorted({word for text in [*WORDS.values(), FILLER] for word in text.split()})
    vocabulary = {word: index for index, word in enumerate([*specials, *words, *map(str, range(10))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(str(folder))
    config = AutoConfig.for_model(
        family,
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=66,
        **{
            "type_vocab_size": 1,
            **TINY_OF.get(family, {}),
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        AutoModel.from_config(config).save_pretrained(str(folder))
