"""Recipes: text changed at random, and any value in any place, is a recipe or one line."""

import random
import tempfile
from pathlib import Path

import pytest
import yaml
from bounds import COUNT, attempt, changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from submillion.recipe import field_sections, load_recipe
from submillion.study.recipe import SearchRecipe, load_search_recipe

RECIPES = sorted((Path(__file__).parents[2] / "src" / "submillion" / "recipes").glob("*.yaml"))
KEYS_OF = {
    name: sorted(key for key, section in field_sections().items() if section == name)
    for name in field_sections().values()
} | {"space": sorted(field_sections())}
PLACES = sorted(SearchRecipe.model_fields)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.binary(max_size=8)
    | st.text(max_size=20)
    | st.sampled_from(
        ["lora", "mean", "all-linear", "fill", "auto", "1e-3", "../..", "hub:x", "~", "/dev/zero"]
    )
)
KEYS = st.text(max_size=8) | st.integers() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda value: st.lists(value, max_size=4) | st.dictionaries(KEYS, value, max_size=4),
    max_leaves=8,
)


def loaded_or_refused(path, load):
    """Whether a recipe is taken; otherwise it is refused, each problem by a line that names the file."""
    recipe, message = attempt(lambda: load(path), path.read_bytes())
    if recipe is None:
        assert all(path.name in line for line in message.split("\n")), message
    return recipe is not None


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_changed_recipe(recipe, tmp_path):
    draw, path, outcomes = random.Random(recipe.stem), tmp_path / recipe.name, set()
    load = load_search_recipe if "space" in recipe.read_text() else load_recipe
    for _ in range(COUNT):
        path.write_bytes(changed(recipe.read_bytes(), draw))
        outcomes.add(loaded_or_refused(path, load))
    assert outcomes == {True, False}


@settings(max_examples=4 * COUNT, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_in_any_place(data):
    place = data.draw(st.sampled_from(PLACES))
    keys = st.sampled_from(KEYS_OF.get(place, PLACES))
    values = data.draw(VALUES | st.dictionaries(keys, VALUES, min_size=1, max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(yaml.safe_dump({place: values}), encoding="utf-8")
        loaded_or_refused(path, load_search_recipe)
        loaded_or_refused(path, load_recipe)
