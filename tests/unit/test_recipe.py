"""Recipes: what they may say, what lies over what, and what the shipped ones come to."""

import re
from pathlib import Path

import pytest

from conftest import SHARED
from submillion import load_recipe
from submillion.budget import make_plan
from submillion.errors import ConfigError
from submillion.recipe import DEFAULT_MODEL, Recipe, field_sections, recipe_names
from submillion.study.recipe import SearchRecipe, load_search_recipe

PAPER = {
    "paper-r11-query-value": (999_172, 3),
    "paper-r7-query-value-key": (980_740, 3),
    "paper-r22-query": (999_172, 3),
    "paper-r3-query-dense-3-epochs": (980_740, 3),
    "paper-r3-query-dense": (980_740, 10),
}


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "recipe.yaml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


SEARCHES = ("paper-search", "paper-table1")


def refused(source, **overrides) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_recipe(source, **overrides)
    return str(caught.value).splitlines()


def test_unknown_key_names_the_nearest(write):
    path = write("training: {epoch: 3}")
    assert refused(path) == [f"{path}: [training] has no key 'epoch'; did you mean 'num_train_epochs'?"]
    path = write("training: {learning_rat: 3}")
    assert refused(path) == [f"{path}: [training] has no key 'learning_rat'; did you mean 'learning_rate'?"]


def test_unknown_section_names_the_nearest_or_the_place(write):
    path = write("trainin: {}")
    assert refused(path) == [f"{path}: a recipe has no section 'trainin'; did you mean 'training'?"]
    path = write("learning_rate: 1")
    assert refused(path) == [f"{path}: a recipe has no section 'learning_rate'; it belongs in [training]"]


def test_all_problems_stand_in_one_message(write):
    path = write(
        "seed: -1\nbudget: {rank: 0, head: none}\ntraining: {learning_rate: fast, epochs: 2}\nextra: 1\n"
    )
    lines = refused(path)
    assert len(lines) == 6
    assert all(line.startswith(f"{path}: ") for line in lines)
    text = "\n".join(lines)
    for part in (
        "seed=-1",
        "[budget] rank=0",
        "[budget] head='none'",
        "learning_rate='fast'",
        "'epochs'",
        "'extra'",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n- b\n", "a recipe is a mapping of sections, not a list"),
        ("training: {", "not readable as YAML of sections and keys: line 1, column 12: "),
        ("training: 3", "training=3"),
        ("training: {learning_rate: 0}", "[training] learning_rate=0: input should be greater than 0"),
        ("data: {validation_share: 1}", "[data] validation_share=1: input should be less than 1"),
        (
            "data: {label_columns: [sport]}",
            "[data] label_columns=['sport']: input should be at least two columns, one a label",
        ),
    ],
)
def test_what_a_file_may_not_hold(write, text, says):
    path = write(text)
    (line,) = refused(path)
    assert line.startswith(f"{path}: {says}")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("budget: 5", ["budget=5: input should be a mapping of keys"]),
        ("budget: [rank]", ["budget=['rank']: input should be a mapping of keys"]),
        ("extends: [a]", ["extends=['a'] must be one recipe: a name or a file"]),
        (
            "training: {learning_rate: .inf}",
            ["[training] learning_rate=inf: input should be a finite number"],
        ),
        ("budget: {lora_alpha: .inf}", ["[budget] lora_alpha=inf: input should be a finite number"]),
        ("budget: {lora_alpha: .nan}", ["[budget] lora_alpha=nan: input should be a finite number"]),
        ("evaluation: {margin: 0}", ["[evaluation] margin=0: input should be greater than 0"]),
        ("evaluation: {margin: 100}", ["[evaluation] margin=100: input should be less than 100"]),
        ("data: {label_names: acq}", ["[data] label_names='acq': input should be a list"]),
        ("data: {train: 3}", ["[data] train=3: input should be text"]),
        (
            "budget: {layers: 3}",
            ["[budget] layers=3: input should be all, last:K or a list of block numbers"],
        ),
        (
            "budget: {layers: [1, x]}",
            ["[budget] layers=[1, 'x']: input should be all, last:K or a list of block numbers"],
        ),
        (
            "budget: {target_modules: 3}",
            ["[budget] target_modules=3: input should be text or a list of texts"],
        ),
    ],
)
def test_a_wrong_value_is_one_line_in_the_words_of_yaml(write, text, lines):
    path = write(text)
    wanted = [f"{path}: {line}" for line in lines]
    assert refused(path) == wanted
    assert refused(path, label_column="x", rank=2) == wanted  # flags change nothing


def test_one_text_column_needs_no_list(write):
    assert load_recipe(write("data: {text_columns: title}")).data.text_columns == ("title",)


@pytest.mark.parametrize("section", Recipe.SECTIONS)
def test_an_empty_section_is_one_of_defaults(write, section):
    path = write(f"{section}:\n")
    assert load_recipe(path) == Recipe()
    assert load_recipe(path, label_column="x", rank=2).budget.rank == 2
    write("seed: 7\ntraining: {learning_rate: 0.5}\n", "base.yaml")
    assert load_recipe(write(f"extends: base\n{section}:\n")).training.learning_rate == 0.5


def test_an_empty_file_is_a_recipe_of_defaults(write):
    assert load_recipe(write("")) == Recipe()


def test_extends_beside_and_shipped(write):
    write("seed: 7\ntraining: {learning_rate: 0.5, weight_decay: 0.25}\n", "base.yaml")
    path = write("extends: base\ntraining: {learning_rate: 0.125}\n")
    recipe = load_recipe(path)
    assert (recipe.seed, recipe.training.learning_rate, recipe.training.weight_decay) == (7, 0.125, 0.25)
    assert load_recipe(write("extends: base.yaml")).seed == 7
    assert load_recipe(write("extends: quickstart")) == load_recipe("quickstart")
    assert (
        "recipe.yaml: extends='nothing' is neither a file nor one of "
        in refused(write("extends: nothing"))[0]
    )


def test_extending_in_a_circle_is_refused(write):
    path = write("extends: b", "a.yaml")
    write("extends: a", "b.yaml")
    (line,) = refused(path)
    assert "recipes extend each other in a circle (" in line
    path = write("extends: own", "own.yaml")
    assert "in a circle" in refused(path)[0]


def test_precedence_is_default_recipe_flag(write):
    path = write("training: {learning_rate: 0.5, weight_decay: 0.5}\n")
    recipe = load_recipe(path, weight_decay=0.25, seed=3)
    assert recipe.training.warmup_ratio == Recipe().training.warmup_ratio
    assert recipe.budget.max_rank == Recipe().budget.max_rank == "usual"
    assert recipe.training.learning_rate == 0.5
    assert recipe.training.weight_decay == 0.25
    assert recipe.seed == 3
    assert load_recipe(recipe, rank=2).training.learning_rate == 0.5


def test_r_is_rank():
    assert load_recipe(r=5).budget.rank == 5


def test_unknown_override():
    assert refused(None, learningrate=1) == [
        "there is no recipe field 'learningrate'; did you mean 'learning_rate'?"
    ]
    assert refused(None, rank=0) == [
        "arguments: [budget] rank=0: input should be a whole number of at least 1, or allocate"
    ]


def test_a_mapping_is_no_recipe():
    with pytest.raises(ConfigError) as caught:
        load_recipe({"training": {"num_train_epochs": 1}})
    assert (
        str(caught.value)
        == "recipe is a dict: name a file or a recipe, and give fields as arguments of their own"
    )


def test_recipes_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_recipe().training.learning_rate = 1


def test_every_field_has_one_home_and_a_description():
    names = [
        name
        for section in Recipe.SECTIONS
        for name in type(Recipe.model_fields[section].default).model_fields
    ]
    assert len(names) == len(set(names)) == len(field_sections())
    for section in Recipe.SECTIONS:
        for name, field in type(Recipe.model_fields[section].default).model_fields.items():
            assert field.description, name
            assert field.description.endswith("."), name


def test_shipped_recipes_load():
    assert {"quickstart", "paper", *PAPER} <= set(recipe_names())
    for name in recipe_names():
        if name in SEARCHES:
            assert isinstance(load_search_recipe(name), SearchRecipe)
            assert all(
                line.endswith("; it belongs to a search: submillion search --recipe")
                for line in refused(name)
            )
        else:
            assert isinstance(load_recipe(name), Recipe)
    assert load_recipe().model.model == DEFAULT_MODEL
    assert load_recipe() == Recipe()
    assert load_recipe("quickstart").data.max_rows_per_class is not None


def test_the_name_of_a_shipped_recipe_is_no_path():
    assert refused("../default")[0].startswith("recipe='../default' is neither a file nor ")


def test_the_papers_recipe_says_what_the_paper_says():
    recipe = load_recipe("paper")
    training, data = recipe.training, recipe.data
    assert (data.max_length, data.padding) == (128, "max_length")
    assert (recipe.budget.pooling, recipe.budget.head, recipe.budget.lora_dropout) == ("first", "full", 0.1)
    assert (training.learning_rate, training.lr_scheduler_type, training.warmup_ratio) == (
        3e-4,
        "cosine",
        0.06,
    )
    assert (training.weight_decay, training.label_smoothing_factor, training.fp16) == (0.01, 0.1, True)
    assert (training.per_device_train_batch_size, training.gradient_accumulation_steps) == (16, 2)
    assert (training.per_device_eval_batch_size, training.early_stopping_patience) == (64, 3)
    assert training.metric_for_best_model == "accuracy"
    assert data.validation_share > 0


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_rows_extend_it(name):
    recipe = load_recipe(name)
    assert recipe.budget.lora_alpha == 2 * recipe.budget.rank
    assert recipe.training.num_train_epochs == PAPER[name][1]
    without = {"rank": None, "lora_alpha": None, "target_modules": Recipe().budget.target_modules}
    base = load_recipe("paper")
    assert recipe.budget.model_copy(update=without) == base.budget.model_copy(update=without)
    assert recipe.data == base.data
    assert recipe.model == base.model
    number = int(re.match(r"paper-r(\d+)-", name).group(1))
    assert recipe.budget.rank == number


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_rows_plan_to_its_counts(name):
    folder = SHARED / "roberta-base"
    if not (folder / "config.json").is_file():
        pytest.skip(f"{folder} is missing: it holds roberta-base's config")
    recipe = load_recipe(name, model=str(folder))
    plan = make_plan(recipe.model.model, 4, **recipe.budget.model_dump())
    assert plan.trainable_parameters == PAPER[name][0]
    assert plan.head_parameters == 593_668
    if "dense" in name:
        assert plan.total_parameters == 125_629_448
        assert any("985,348" in warning for warning in plan.warnings)


def test_no_recipe_of_the_package_is_left_out_of_it():
    shipped = Path(__file__).parents[2] / "src" / "submillion" / "recipes"
    assert sorted(path.stem for path in shipped.glob("*.yaml")) == recipe_names()


def test_a_name_that_is_too_long_is_no_recipe(tmp_path):
    recipe = tmp_path / "long.yaml"
    recipe.write_text(f"extends: {'a' * 5000}\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(recipe))
    assert str(caught.value).startswith(
        f"{tmp_path}/long.yaml: extends='{'a' * 200}' is neither a file nor one of the recipes"
    )
