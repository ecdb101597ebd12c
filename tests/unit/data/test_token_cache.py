import os
import stat
from pathlib import Path

import numpy as np
import pytest

from submillion.data import token_cache
from submillion.data.carve import Rows
from submillion.data.token_cache import cache_folder, entry_name, kept_tokens, tokens_of_splits
from submillion.data.tokens import encode
from submillion.encoders import load_tokenizer, make_plain

TEXTS = ["goal match team", "bank shares", "rocket orbit planet launch", "the a of secretword", ""]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """The folder of the entries; even five texts are kept."""
    monkeypatch.setenv("SUBMILLION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(token_cache, "FEWEST_ROWS", 2)
    return tmp_path / "cache" / "tokens"


@pytest.fixture
def tokenizer(tiny_encoder):
    return load_tokenizer(tiny_encoder("bert"))


@pytest.fixture
def calls(monkeypatch):
    """How many texts each call of the tokenizer was given."""
    counted: list[int] = []

    def counting(tokenizer, texts):
        counted.append(len(texts))
        return encode(tokenizer, texts)

    monkeypatch.setattr(token_cache, "encode", counting)
    return counted


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_the_second_time_nothing_is_tokenised(tokenizer, calls, cache, tiny_encoder):
    first = kept_tokens(tokenizer, TEXTS)
    again = kept_tokens(load_tokenizer(tiny_encoder("bert")), tuple(TEXTS))
    assert first == again == encode(tokenizer, TEXTS)
    assert calls == [len(TEXTS)]
    assert len(entries(cache)) == 1


def test_the_tokenizer_is_left_in_the_same_state_either_way(tiny_encoder):
    states = []
    for _ in range(2):
        tokenizer = load_tokenizer(tiny_encoder("bert"))
        tokenizer.backend_tokenizer.enable_truncation(3)
        assert kept_tokens(tokenizer, TEXTS)[2] == encode(tokenizer, TEXTS)[2]
        states.append(tokenizer.backend_tokenizer.to_str())
    assert states[0] == states[1]


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS[::-1],
        TEXTS[:-1],
        [*TEXTS, ""],
        ["goal match teamb", "ank shares", *TEXTS[2:]],
        ["\ud800", *TEXTS[1:]],
    ],
)
def test_other_texts_have_another_name(tokenizer, texts):
    assert entry_name(tokenizer, texts) != entry_name(tokenizer, TEXTS)


def test_another_tokenizer_has_another_name(tokenizer, tiny_encoder, monkeypatch):
    name = entry_name(tokenizer, TEXTS)
    other = load_tokenizer(tiny_encoder("bert"))
    make_plain(other)
    assert entry_name(other, TEXTS) == name
    other.add_tokens(["secretword"])
    assert entry_name(other, TEXTS) != name
    tokenizer.split_special_tokens = True
    assert entry_name(tokenizer, TEXTS) != name
    tokenizer.split_special_tokens = False
    assert entry_name(tokenizer, TEXTS) == name
    monkeypatch.setattr("tokenizers.__version__", "0.0")
    assert entry_name(tokenizer, TEXTS) != name


def test_no_text_stands_in_the_folder_and_it_is_the_owners_alone(tokenizer, cache):
    kept_tokens(tokenizer, TEXTS)
    (entry,) = entries(cache)
    assert len(entry.stem) == 64
    assert b"secretword" not in entry.name.encode() + entry.read_bytes()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_wider_folder_is_narrowed(tokenizer, cache):
    cache.mkdir(parents=True, mode=0o755)
    kept_tokens(tokenizer, TEXTS)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_damaged_entry_is_made_anew(tokenizer, cache, calls):
    whole = kept_tokens(tokenizer, TEXTS)
    (entry,) = entries(cache)
    content = entry.read_bytes()
    damaged = [
        b"",
        b"x",
        content[:-1],
        content[: len(content) // 2],
        content + b"\0",
        os.urandom(len(content)),
    ]
    for at in range(len(content)):  # header and numbers alike
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        damaged.append(bytes(changed))
    for number, bad in enumerate(damaged):
        entry.write_bytes(bad)
        assert kept_tokens(tokenizer, TEXTS) == whole, number
        assert entries(cache) == [entry]
    # What changes nothing that is read (a space in the header) may stand; numbers never.
    assert len(calls) > len(damaged) * 0.9
    assert kept_tokens(tokenizer, TEXTS) == whole


def test_another_entry_under_this_name_is_not_believed(tokenizer, cache, calls):
    kept_tokens(tokenizer, TEXTS)
    (entry,) = entries(cache)
    kept_tokens(tokenizer, TEXTS[:3])
    (other,) = set(entries(cache)) - {entry}
    entry.write_bytes(other.read_bytes())
    assert kept_tokens(tokenizer, TEXTS) == encode(tokenizer, TEXTS)
    assert calls == [5, 3, 5]


def test_off_keeps_nothing(tokenizer, cache, calls, monkeypatch):
    monkeypatch.setenv("SUBMILLION_CACHE", "OFF")
    assert kept_tokens(tokenizer, TEXTS) == kept_tokens(tokenizer, TEXTS) == encode(tokenizer, TEXTS)
    assert calls == [5, 5]
    assert not cache.exists()


def test_few_texts_are_not_kept(tokenizer, cache, monkeypatch):
    monkeypatch.setattr(token_cache, "FEWEST_ROWS", 6)
    kept_tokens(tokenizer, TEXTS)
    assert not cache.exists()


def test_a_cache_that_cannot_be_made_fails_nothing(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SUBMILLION_CACHE", str(tmp_path / "file"))
    assert kept_tokens(tokenizer, TEXTS) == encode(tokenizer, TEXTS)


def test_a_disk_that_takes_no_writing_fails_nothing_and_is_read(tokenizer, cache, calls, monkeypatch):
    def refused(*_args, **_kwargs):
        raise OSError(30, "Read-only file system")

    kept_tokens(tokenizer, TEXTS)
    for name in ("os.utime", "pathlib.Path.mkdir", "pathlib.Path.chmod", "tempfile.mkstemp"):
        monkeypatch.setattr(name, refused)
    assert kept_tokens(tokenizer, TEXTS) == encode(tokenizer, TEXTS)
    assert calls == [5]
    assert kept_tokens(tokenizer, TEXTS[:3]) == encode(tokenizer, TEXTS[:3])
    assert len(entries(cache)) == 1


def test_a_full_disk_leaves_no_half_entry(tokenizer, cache, monkeypatch):
    def full(_arrays, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_cache, "save_file", full)
    assert kept_tokens(tokenizer, TEXTS) == encode(tokenizer, TEXTS)
    assert entries(cache) == []


def test_what_was_longest_unused_is_removed(tokenizer, cache, monkeypatch):
    texts = [[*TEXTS, str(number)] for number in range(4)]
    of = {}
    for number in (0, 1, 2):
        before = set(entries(cache)) if cache.exists() else set()
        kept_tokens(tokenizer, texts[number])
        (of[number],) = set(entries(cache)) - before
        os.utime(of[number], ns=(number, number))
    size = of[0].stat().st_size
    monkeypatch.setattr(token_cache, "MOST_BYTES", 3 * size + 50)
    kept_tokens(tokenizer, texts[0])  # used again: number 1 is now the one longest unused
    kept_tokens(tokenizer, texts[3])
    left = set(entries(cache))
    assert {number for number, file in of.items() if file in left} == {0, 2}
    assert len(left) == 3
    monkeypatch.setattr(token_cache, "MOST_BYTES", 10)
    kept_tokens(tokenizer, TEXTS)
    assert set(entries(cache)) == left, "an entry above the bound is not written"


def test_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBMILLION_CACHE", "~/mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mine" / "tokens"
    monkeypatch.delenv("SUBMILLION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "submillion" / "tokens"
    for relative in ("", "xdg"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_folder() == tmp_path / ".cache" / "submillion" / "tokens"


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def homeless(_path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SUBMILLION_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", homeless)
    assert cache_folder() is None


def rows(texts, numbers, source="f.csv"):
    numbers = np.array(numbers, dtype=np.int64)
    return Rows(list(texts), np.zeros(len(numbers), dtype=np.int64), numbers, source)


def test_another_division_of_the_same_rows_finds_the_same_entry(tokenizer, calls, cache):
    other = rows(["moon crew", "profit price"], [0, 3], "other.csv")
    divided = [
        {"train": rows([TEXTS[i] for i in (0, 2, 4)], [0, 2, 9]), "calibration": rows([TEXTS[1], TEXTS[3]], [1, 5])},
        {"train": rows([TEXTS[i] for i in (3, 1)], [5, 1]), "calibration": rows([TEXTS[i] for i in (0, 2, 4)], [0, 2, 9])},
    ]  # fmt: skip
    for splits in divided:
        splits = splits | {"validation": other}
        found = tokens_of_splits(tokenizer, splits)
        assert {name: list(found[name]) for name in found} == {
            name: list(encode(tokenizer, split.texts)) for name, split in splits.items()
        }
    assert calls == [7]
    assert len(entries(cache)) == 1
