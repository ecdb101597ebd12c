"""What a search's recipe may say, and what is said where it may not."""

from pathlib import Path

import pytest

from submillion.errors import ConfigError
from submillion.study.candidates import draw, draw_candidates
from submillion.study.recipe import halving, load_search_recipe


def recipe(tmp_path: Path, text: str):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return load_search_recipe(path)


GRID = "space: {rank: [2, fill, 400], learning_rate: [3.0e-4, 1.0e-3], target_modules: [qv, [query, dense]]}"
DRAWN = (
    "space: {rank: [2, 4], learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}}\nsearch: {candidates: 64}"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 3", "[space] is empty: give choices for at least one field"),
        ("space: {rnk: [1]}", "[space] 'rnk' is no recipe field: method, target_modules, "),
        ("space: {max_length: [1]}", "[space] 'max_length' cannot vary in a search: "),
        ("space: {rank: []}", "[space] rank has no value: list at least one"),
        ("space: {learning_rate: {low: 1, high: 2}}", "is a range, of which a grid has no end: list its values"),
        ("space: {learning_rate: {low: 2, high: 1}}", "low=2, high=1: need low < high"),
        ("space: {rank: [1]}\nstages: [{epochs: 3}]", "[stages] has no key 'epochs'; did you mean 'num_train_epochs'?"),
        ("space: {rank: [1]}\nstages: []", "[stages] is empty"),
        ("space: {num_train_epochs: [1, 2]}", "[space] num_train_epochs has no effect, for the stages say how long"),
        ("space: {rank: [1]}\nsearch: {halvin: 3}", "[search] has no key 'halvin'; did you mean 'halving'?"),
        ("space: {rank: [1]}\nsearch: {candidates: 0}", "input should be grid, or a whole number of at least 1"),
        ("space: {rank: [1]}\nfinal: {num_train_epochs: 0}", "[final] num_train_epochs=0: input should be greater than 0"),
        ("serch: {}", "a recipe has no section 'serch'; did you mean 'search'?"),
        ("space: {learning_rate: [1.0e-3, -1]}", "[space] learning_rate=-1: input should be greater than 0"),
        ("space: {rank: [0]}", "[space] rank=0: input should be a whole number of at least 1, or allocate"),
        ("space: {lora_dropout: {low: 0, high: 1}}\nsearch: {candidates: 2}", "[space] lora_dropout=1.0: input should be less"),
        ("space: {rank: {low: 1, high: 8}}\nsearch: {candidates: 2}", "[space] rank is a range, which a field of whole numbers"),
        ("space: {rank: [true]}", "[space] rank=True: no field that varies is a yes or no"),
        ("space: {rank: [1]}\nsearch: {repeats: true}", "[search] repeats=True: input should be a number, not yes or no"),
        ("space: {rank: [1]}\nsearch: {halving: 2}\nstages: [{share: 0.5}]", "[search] halving=2 makes the stages itself: "),
        ("space: {rank: [1]}\nsearch: {halving: 2}\nstages: []", "[stages] is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, text, message):
    with pytest.raises(ConfigError) as error:
        recipe(tmp_path, text)
    assert message in str(error.value)


def test_a_flag_that_the_space_holds_is_refused(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(GRID)
    with pytest.raises(
        ConfigError, match=r"rank is given, and \[space\] says what it may be: leave one of the two"
    ):
        load_search_recipe(path, r=4)
    assert load_search_recipe(path, lora_alpha=4).budget.lora_alpha == 4


def test_the_grid_is_planned_and_what_does_not_fit_is_listed(tmp_path, tiny_encoder):
    found = draw_candidates(recipe(tmp_path, GRID), tiny_encoder("bert"), 3)
    assert [candidate.number for candidate in found] == list(range(12))
    assert [bool(candidate.refused) for candidate in found] == [False] * 8 + [True] * 4
    assert {candidate.plan.rank for candidate in found if candidate.plan} == {2, 32}
    assert "rank=400 is above 32" in found[-1].refused
    assert found[0].name == "rank 2, learning_rate 0.0003, target_modules qv"


def test_a_candidate_beyond_the_budget_is_never_started(tmp_path, tiny_encoder):
    text = "space: {rank: [1, 16]}\nbudget: {budget: 3000, target_modules: qv}"
    small, large = draw_candidates(recipe(tmp_path, text), tiny_encoder("bert"), 3)
    assert small.plan is not None
    assert large.plan.trainable_parameters == 16 * small.plan.adapter_parameters + small.plan.head_parameters
    assert "4,096" in large.refused


def test_a_combination_that_no_training_may_have_is_never_started(tmp_path, tiny_encoder):
    text = "space: {base_dropout: [0.0, 0.1]}\ntraining: {numerics: fast}"
    allowed, refused = draw_candidates(recipe(tmp_path, text), tiny_encoder("bert"), 3)
    assert not allowed.refused
    assert "numerics='fast' has no dropout inside the frozen encoder, and base_dropout=0.1" in refused.refused


def test_every_candidate_refused_is_an_error(tmp_path, tiny_encoder):
    with pytest.raises(ConfigError, match="none of 1 candidates can be trained: rank=400 is above 32"):
        draw_candidates(recipe(tmp_path, "space: {rank: [400]}"), tiny_encoder("bert"), 3)


def test_drawn_points_are_seeded_and_spread_evenly(tmp_path):
    asked = recipe(tmp_path, DRAWN)
    points = draw(asked)
    assert points == draw(asked)
    assert points != draw(asked.model_copy(update={"seed": 1}))
    assert len(points) == 64
    # A scrambled Sobol sequence: each quarter of the (log) range holds a quarter of the points, exactly.
    for low, high in ((1e-4, 10**-3.5), (10**-3.5, 1e-3), (1e-3, 10**-2.5), (10**-2.5, 1e-2)):
        assert 15 <= sum(low <= point["learning_rate"] < high for point in points) <= 17
    assert sum(point["rank"] == 2 for point in points) == 32


def test_equal_candidates_stand_once(tmp_path, tiny_encoder):
    text = "space: {rank: [2, 2], target_modules: [qv, [query, value]]}"
    assert len(draw_candidates(recipe(tmp_path, text), tiny_encoder("bert"), 3)) == 1


def test_halving_costs_about_as_much_a_stage():
    stages = halving(81, 3, 0.01, 3)
    assert [stage.keep for stage in stages] == [27, 9, 3, 1]
    costs = [
        n * stage.share * (stage.num_train_epochs or 0)
        for n, stage in zip((81, 27, 9, 3), stages, strict=True)
    ]
    assert max(costs) / min(costs) < 1.1
    for few in (1, 3):
        [stage] = halving(few, 3, 0.1, 2)
        assert (stage.share, stage.num_train_epochs) == (1, 2)
