"""Texts tokenised once: their token numbers are kept by content, and read again in the next training.

An entry is a safetensors file in the folder `tokens` of the cache. Its name is a sha256 over the texts in
their order, the tokenizer's whole state and the version of `tokenizers`, so that nothing can go stale, and a
file that does not hold what it says it holds is made anew. No text is written, but token numbers can be
turned back into text: the folder is its owner's alone (mode 0700).

The cache is the folder that SUBMILLION_CACHE names, `off` for none; else `submillion` in $XDG_CACHE_HOME or
in `~/.cache`. Whatever is wrong with it, texts are tokenised without it.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from submillion.data.carve import Rows
from submillion.data.pairs import TextPair, hold_pairs
from submillion.data.token_lists import Seams, TokenLists
from submillion.data.tokens import encode
from submillion.encoders import make_plain
from submillion.errors import RunError
from submillion.run import written_atomically

FEWEST_ROWS = 2_000
"""With fewer texts nothing is kept: tokenising them takes no longer than a blink."""

MOST_BYTES = 2_000_000_000
"""What all entries may take together; the ones longest unused go first."""

_FORM = "1"


def cache_folder() -> Path | None:
    """Return the folder of the entries, which need not be there yet; None where the cache is switched off."""
    named = os.environ.get("SUBMILLION_CACHE", "")
    if named.casefold() == "off":
        return None
    # The XDG specification: a path that is not absolute counts for nothing.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        if named:
            return Path(named).expanduser() / "tokens"
        return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "submillion" / "tokens"
    except RuntimeError:  # the user has no home
        return None


def tokens_of_splits(tokenizer: Any, splits: Mapping[str, Rows]) -> dict[str, TokenLists]:
    """Return all tokens of each split's texts.

    The rows are tokenised, and kept, in the order of their sources: another seed divides the same rows in
    another way and finds the same entry.
    """
    names = list(splits)
    texts = [text for name in names for text in splits[name].texts]
    sources = {
        source: number for number, source in enumerate(dict.fromkeys(s.source for s in splits.values()))
    }
    source_numbers = np.repeat(
        [sources[splits[name].source] for name in names], [len(splits[n]) for n in names]
    )
    order = np.lexsort((np.concatenate([splits[name].row_numbers for name in names]), source_numbers))
    tokens = kept_tokens(tokenizer, [texts[i] for i in order])
    place_of = np.empty(len(order), dtype=np.int64)
    place_of[order] = np.arange(len(order))
    ends = np.cumsum([len(splits[name]) for name in names])
    return {
        name: tokens.take(place_of[end - len(splits[name]) : end])
        for name, end in zip(names, ends, strict=True)
    }


def kept_tokens(tokenizer: Any, texts: Sequence[str]) -> TokenLists:
    """Return all tokens of each text, from the cache where it holds them, and keep them there where not."""
    folder = cache_folder() if len(texts) >= FEWEST_ROWS else None
    if folder is None:
        return encode(tokenizer, texts)
    make_plain(tokenizer)
    path = folder / f"{entry_name(tokenizer, texts)}.safetensors"
    tokens = _read(path, len(texts))
    if tokens is None:
        tokens = encode(tokenizer, texts)
        _write(path, tokens)
    return tokens


def entry_name(tokenizer: Any, texts: Sequence[str]) -> str:
    """Return a sha256 over all that the tokens depend on; the tokenizer has been made plain."""
    parts = (
        _FORM,
        tokenizers.__version__,
        f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}",
        str(sorted(tokenizer.special_tokens_map.items())),
        str(tokenizer.split_special_tokens),
        tokenizer.backend_tokenizer.to_str(),
    )
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    if hold_pairs(texts):
        seconds = [text.second for text in texts if isinstance(text, TextPair)]
        digest.update(b"pairs")
        digest.update(np.fromiter(map(len, seconds), dtype="<i8", count=len(seconds)).tobytes())
        texts = [text.first + text.second for text in texts if isinstance(text, TextPair)]
    # With the lengths the joined texts can be divided in one way only.
    digest.update(np.fromiter(map(len, texts), dtype="<i8", count=len(texts)).tobytes())
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _read(path: Path, n_rows: int) -> TokenLists | None:
    """Return what an entry holds; None where it is missing, damaged or not what it says it is."""
    try:
        with safe_open(path, framework="np") as file:
            written = (file.metadata() or {}).get("sha256")
            flat, lengths = file.get_tensor("flat"), file.get_tensor("lengths")
            starts = file.get_tensor("starts") if "starts" in file.keys() else None  # noqa: SIM118
            special = file.get_tensor("special").tolist() if starts is not None else []
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError):
        return None
    with suppress(OSError):  # on a disk that takes no writing
        os.utime(path)  # used just now: others go before it
    is_whole = (
        (flat.dtype, lengths.dtype) == (np.int32, np.int64)
        and (flat.ndim, lengths.shape) == (1, (n_rows,))
        and int(lengths.min(initial=0)) >= 0
        and int(lengths.sum()) == len(flat)
        and int(flat.min(initial=0)) >= 0
        and written == _sum(flat, lengths, starts)
        and (starts is None or (starts.shape == (n_rows,) and len(special) == 3))
    )
    seams = None if starts is None else Seams(starts, *special)
    return TokenLists(flat, lengths, seams) if is_whole else None


def _write(path: Path, tokens: TokenLists) -> None:
    """Keep an entry; a cache that cannot be written costs the next training time and this one nothing."""
    size = tokens.flat.nbytes + tokens.lengths.nbytes
    if size > MOST_BYTES:
        return
    arrays = {"flat": tokens.flat, "lengths": tokens.lengths}
    seams = tokens.seams
    if seams is not None:
        arrays["starts"] = seams.starts
        arrays["special"] = np.array([seams.n_before, seams.n_between, seams.n_after])
    try:
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.parent.chmod(0o700)
        with written_atomically(path) as temporary:
            save_file(
                arrays,
                temporary,
                metadata={"sha256": _sum(tokens.flat, tokens.lengths, arrays.get("starts"))},
            )
        _remove_oldest(path.parent)
    except (OSError, RunError, SafetensorError):
        return


def _remove_oldest(folder: Path) -> None:
    """Remove files, the longest unused first, until the rest is within `MOST_BYTES`."""
    found = sorted(
        ((file.stat(), file) for file in folder.glob("*.safetensors")), key=lambda each: each[0].st_mtime_ns
    )
    excess = sum(status.st_size for status, _ in found) - MOST_BYTES
    for status, file in found:
        if excess <= 0:
            return
        file.unlink(missing_ok=True)
        excess -= status.st_size


def _sum(flat: np.ndarray, lengths: np.ndarray, starts: np.ndarray | None) -> str:
    digest = hashlib.sha256(lengths.tobytes())
    digest.update(flat.tobytes())
    digest.update(b"" if starts is None else starts.tobytes())
    return digest.hexdigest()
