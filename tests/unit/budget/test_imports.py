import ast
from pathlib import Path

import pytest

import submillion.budget

HEAVY = {"torch", "transformers", "peft", "huggingface_hub", "numpy"}
FILES = sorted(Path(submillion.budget.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_nothing_heavy_is_imported_at_the_top(path):
    top = ast.parse(path.read_text(encoding="utf-8")).body
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in names} & HEAVY


def test_the_public_names_are_sorted_and_complete():
    assert submillion.budget.__all__ == sorted(submillion.budget.__all__)
    assert all(hasattr(submillion.budget, name) for name in submillion.budget.__all__)
