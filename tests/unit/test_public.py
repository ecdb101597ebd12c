"""What is public, and which way imports point."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import submillion
from conftest import ROOT

SOURCE = ROOT / "src" / "submillion"

ORDER = [
    {
        "alternatives",
        "errors",
        "one_vs_rest",
        "plain_yaml",
        "shortened",
        "speedups",
        "temperature",
    },
    {"disk", "multi_label", "shapes", "terminal", "together"},
    {"run", "recipe", "confusion", "probe"},
    {"encoders", "statistics"},
    {"data", "page"},
    {"baselines", "budget"},
    {"reference"},
    {"fast"},
    {"model"},
    {"scoring"},
    {"closeness"},
    {"prediction", "training"},
    {"evaluation"},
    {"auditing", "exporters", "study"},
    {"api"},
    {"estimator"},
    {"cli"},
]
"""Stages from left to right; those in one set do not import each other, unless `BESIDE` says so."""

BESIDE = {("baselines", "confusion"), ("encoders", "recipe")}


def stage(module: str) -> str:
    return module.split(".")[0]


def rank(name: str) -> int:
    found = [index for index, names in enumerate(ORDER) if name in names]
    assert found, f"{name} has no place in the order of imports: give it one in ORDER"
    return found[0]


def imports_of(path: Path) -> set[str]:
    """Return the stages that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {
                a.name.removeprefix("submillion.") for a in node.names if a.name.startswith("submillion.")
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            if node.module == "submillion":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("submillion."):
                found.add(node.module.removeprefix("submillion."))
    return {stage(module) for module in found}


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])
def test_imports_point_to_the_left(path):
    own = stage(path.relative_to(SOURCE).with_suffix("").parts[0])
    for other in imports_of(path) - {own}:
        assert rank(other) < rank(own), f"{own} imports {other}, which stands to its right"


def test_every_stage_of_the_order_exists():
    for name in set().union(*ORDER):
        assert (SOURCE / name).is_dir() or (SOURCE / f"{name}.py").is_file(), name


def test_public_names_are_sorted_complete_and_importable():
    assert submillion.__all__ == sorted(submillion.__all__)
    assert len(submillion.__all__) == len(set(submillion.__all__))
    assert dir(submillion) == submillion.__all__
    for name in submillion.__all__:
        value = getattr(submillion, name)
        assert value.__doc__, name
        assert value.__module__.startswith("submillion."), name
    assert set(submillion.__all__) == set(submillion._HOMES)
    typed = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("submillion.")
        for alias in node.names
    }
    assert typed == set(submillion.__all__)
    with pytest.raises(AttributeError, match="module 'submillion' has no attribute 'nothing'"):
        _ = submillion.nothing


def test_errors_are_one_family():
    for name in ("BudgetError", "ConfigError", "DataError"):
        assert issubclass(getattr(submillion, name), (submillion.SubmillionError, ValueError))
        assert issubclass(getattr(submillion, name), ValueError)
    assert issubclass(submillion.RunError, OSError)
    assert issubclass(submillion.RunError, submillion.SubmillionError)


def test_the_version_is_that_of_the_package():
    assert f'version = "{submillion.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, submillion, submillion.errors, submillion.recipe, submillion.run, submillion.encoders; "
        "submillion.load_recipe(); "
        "print([n for n in ('torch', 'transformers', 'peft', 'sklearn', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[]\n", "")
