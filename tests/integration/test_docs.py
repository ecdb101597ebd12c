"""What the documentation shows is true: its Python runs, its commands parse, its links and flags exist."""

import gc
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from conftest import ROOT, learnable_rows, write_csv
from submillion.cli.main import COMMANDS, cli
from submillion.recipe import DEFAULT_MODEL

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
"""Pages of people's and generated ones."""

WRITTEN = [page for page in PAGES if "reference" not in page.parts]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

OTHER_TOOLS_FLAGS = {"--no-deps", "--index-url"}
"""Flags in back-ticks that are pip's, not ours."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in some languages."""
    return [
        text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages
    ]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[str]:
    """Return every `submillion ...` line of a page: in blocks, after a prompt or not, and in back-ticks."""
    found = []
    for text in blocks(page, "sh", "console", "bash"):
        for line in text.replace("\\\n", " ").splitlines():
            line = line.removeprefix("$ ")
            if line.startswith("submillion "):
                found.append(line)
    # A bare `submillion train` in prose names a command; only one with arguments is a command line.
    named = re.findall(r"`(submillion [a-z]+ [^`]+)`", prose(page))
    return found + [line for line in named if line.split()[1] in COMMANDS and not line.endswith("--json")]


COMMAND_LINES = [(name_of(page), line) for page in WRITTEN for line in commands(page)]


def options_of(command: click.Command) -> set[str]:
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}


def test_commands_are_found():
    assert len(COMMAND_LINES) >= 20
    assert {line.split()[1] for _, line in COMMAND_LINES} >= {
        "plan",
        "train",
        "predict",
        "evaluate",
        "compare",
    }


@pytest.mark.parametrize(
    ("page", "line"), COMMAND_LINES, ids=[f"{page}: {line}" for page, line in COMMAND_LINES]
)
def test_command_lines_parse(page: str, line: str):
    _, name, *arguments = shlex.split(line, comments=True)
    assert name in COMMANDS, f"{page}: no command {name}"
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments, resilient_parsing=False)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_links_between_pages_resolve(page: Path):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    broken = [
        link
        for link in links
        if not re.match(r"[a-z]+:", link) and not (page.parent / link.split("#")[0]).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_flags_in_back_ticks_exist(page: Path):
    known = {"--help", "--version"}
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        known |= options_of(command)
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    flags = {flag for span in spans for flag in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", span)}
    assert flags - known - OTHER_TOOLS_FLAGS == set()


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page != "README.md" and f"({page})" not in index] == []


def test_python_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder: Callable[[str], str]
):
    """Run the page from top to bottom, as its reader does, with a tiny encoder in the default one's place."""
    page = ROOT / "docs" / "how-to" / "python.md"
    write_csv(tmp_path / "train.csv", learnable_rows(510))
    write_csv(tmp_path / "test.csv", learnable_rows(60, seed=1))
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    code = blocks(page, "python")
    assert len(code) >= 8
    assert DEFAULT_MODEL in code[0]
    for number, block in enumerate(code, start=1):
        block = block.replace(DEFAULT_MODEL, tiny_encoder("bert"))
        exec(compile(block, f"{page}, block {number}", "exec"), namespace)
    assert (tmp_path / "labels.parquet").is_file()
    namespace.clear()
    gc.collect()  # what the page leaves behind is cleaned up here, and a warning of it fails this test


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_python_blocks_compile(page: Path):
    for block in blocks(page, "python"):
        compile(block, name_of(page), "exec")


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_no_page_holds_a_placeholder(page: Path):
    assert not re.findall(r"QUICKSTART_\w+|TODO|FIXME|XXX", page.read_text(encoding="utf-8"))
