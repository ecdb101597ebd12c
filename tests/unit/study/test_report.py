"""A study's report: whole, escaped, loading nothing, and with commands that repeat what they say."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from submillion.budget.plan import make_plan
from submillion.cli.options import given
from submillion.cli.train import command as train_command
from submillion.errors import RunError
from submillion.recipe import Recipe, load_recipe
from submillion.study.candidates import Candidate, draw_candidates
from submillion.study.folder import StudyFolder
from submillion.study.recipe import SearchRecipe, load_search_recipe
from submillion.study.recommend import Judged, recommend
from submillion.study.repeat import candidate_recipe, repeat_command
from submillion.study.report import write_report

SECTIONS = ("recommendation", "ranking", "curves", "size", "costs", "candidates", "commands")
SPACE = {"space": {"rank": [1, 4, "fill"], "learning_rate": [1e-3, 0.02]}}
STAGES = [{"num_train_epochs": 1, "share": 0.25, "keep": 3}, {"num_train_epochs": 3}]


class Page(HTMLParser):
    """What a browser would make of the page: its tags, its attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def study(tmp_path, tiny_encoder):
    """Return a function that makes a finished study by hand, trainings made up, and returns its folder."""

    def make(
        tree: dict[str, Any],
        *,
        sources: dict[str, str | None] | None = None,
        test: bool = True,
        failing: tuple[int, ...] = (),
        **changes: Any,
    ) -> StudyFolder:
        (tmp_path / "space.yaml").write_text(yaml.safe_dump(tree))
        recipe = load_search_recipe(tmp_path / "space.yaml", model=tiny_encoder("bert"))
        candidates = draw_candidates(recipe, recipe.model.model, 3)
        folder = StudyFolder(tmp_path / "study")
        folder.path.mkdir(exist_ok=True)
        folder.update(
            **made_up(recipe, candidates, sources or {"train": "train.csv"}, test, failing) | changes
        )
        return folder

    return make


def made_up(
    recipe: SearchRecipe, candidates: list[Candidate], sources: dict[str, str | None], test: bool, failing: tuple[int, ...]
) -> dict[str, Any]:  # fmt: skip
    """Return a `study.json` as a search writes it."""
    draw = np.random.default_rng(0)
    runnable = [candidate for candidate in candidates if not candidate.refused]
    stages, trainings, right = recipe.stages_for(len(runnable)), [], {}
    going = [candidate.number for candidate in runnable]
    for number, stage in enumerate(stages, start=1):
        repeats = recipe.search.repeats if number == len(stages) else 1
        for place, candidate in enumerate(going):
            for repeat in range(repeats):
                training = short_training(
                    draw, candidates[candidate], stage.num_train_epochs or 3.0, stage.share
                )
                if candidate in failing:
                    training |= {"accuracy": None, "failed": "loss is <nan> at step 3", "curve": []}
                else:
                    is_judged_by_more = number == len(stages) and stage.share < 1
                    training |= {"judged_rows": 700 if is_judged_by_more else 500, "log_loss": 0.3}
                trainings.append({"stage": number, "place": place, "repeat": repeat} | training)
        kept = [
            training
            for training in trainings
            if training["stage"] == number and training["accuracy"] is not None
        ]
        kept.sort(key=lambda training: -training["accuracy"])
        if number < len(stages):
            going = [training["candidate"] for training in kept[: stage.keep]]
            missing = stage.keep - len(going)
            for place in range(len(going), len(going) + max(0, min(missing, len(runnable) - len(going)))):
                none = {"accuracy": None, "failed": "fewer candidates came through the stage before"}
                trainings.append({"stage": number + 1, "place": place, "repeat": 0} | none)
        right = {training["candidate"]: draw.random(500) < training["accuracy"] for training in kept}
    judged = [
        Judged(number, candidates[number].name, candidates[number].plan.trainable_parameters, 900, rows)
        for number, rows in right.items()
    ]
    recommended = recommend(judged, len(runnable), recipe.evaluation.margin / 100, recipe.seed)
    best = {"accuracy": 0.93, "candidate": recommended.number, "folder": "studies/a & b/best"}
    figure = {"value": 0.91, "low": 0.88, "high": 0.93, "level": 0.95, "covers": "rows drawn anew"}
    read = {
        "n": 400,
        "accuracy": figure,
        "macro_f1": figure,
        "baselines": [],
        "reads": [{"when": "x", "purpose": "y"}],
    }
    done = [training for training in trainings if "candidate" in training]
    names = ["<b>sport</b>", "trade & co", "space"]
    return {
        "status": "finished",
        "created": "2026-11-25T10:00:21+00:00",
        "recipe": recipe.model_dump(mode="json"),
        "encoder": recipe.model.model,
        "data": {
            "sources": {"train": None, "validation": None, "test": None} | sources,
            "splits": {"train": {"n_rows": 2000}, "validation": {"n_rows": 500}},
            "label_names": names,
            "notes": ["<i>noted</i>"],
        },
        "candidates": [candidate.to_json() for candidate in candidates],
        "stages": [stage.model_dump(mode="json") for stage in stages],
        "recommendation": recommended.to_json(),
        "trainings": [*trainings, {"stage": len(stages) + 1, "place": 0, "repeat": 0, **best}],
        "final": best,
        "test": read if test else None,
        "costs": {
            "epochs": sum(training["epochs"] for training in done),
            "rows_seen": sum(training["rows_seen"] for training in done),
            "seconds": {"training": 50.0, "preparing": 3.0, "total": 70.0},
            "share_not_training": 0.2857,
            "final_seconds": {"training": 9.0, "total": 12.0},
        },
    }  # fmt: skip


def short_training(draw: Any, candidate: Candidate, epochs: float, share: float) -> dict[str, Any]:
    peak = float(draw.beta(60, 6))
    curve = [
        {"epoch": float(epoch), "accuracy": peak * (1 - 0.3 / (epoch + 1))}
        for epoch in range(1, int(epochs) + 1)
    ]
    seconds = round(float(draw.uniform(2, 30)), 2)
    return {
        "accuracy": max(line["accuracy"] for line in curve),
        "candidate": candidate.number,
        "trainable_parameters": candidate.plan.trainable_parameters,
        "epochs": epochs,
        "train_rows": round(2000 * share),
        "rows_seen": round(2000 * share * epochs),
        "seconds": {"training": 0.8 * seconds, "total": seconds},
        "curve": curve,
    }  # fmt: skip


def check(folder: StudyFolder) -> tuple[str, Page]:
    """Write the report, check what holds for all of them, and return it."""
    assert write_report(folder) == folder.report
    text = folder.report.read_text(encoding="utf-8")
    page = Page(text)
    assert [each for each in page.ids if each in SECTIONS] == list(SECTIONS)
    assert len(page.ids) == len(set(page.ids))
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    for name, value in page.attributes:
        if not name.startswith("xmlns"):
            assert "//" not in (value or "") or name == "content", (name, value)
        assert not name.startswith("on")
    assert not re.search(r"https?:|url\((?!#)|@import", re.sub(r'xmlns[:a-z]*="[^"]*"', "", text))
    assert not re.search(r"#0101[0-9a-f]{2}", text)  # every colour has become the page's own
    assert [path.name for path in folder.path.iterdir() if path.name.startswith(".")] == []
    return text, page


def parsed(text: str, folder: Path) -> Recipe:
    """Return the recipe that `submillion train` makes of a printed command."""
    *before, last = text.splitlines()
    words = shlex.split(last)
    assert words[:2] == ["submillion", "train"]
    for line in before:
        printf, shape, content, arrow, file = shlex.split(line)
        assert (printf, shape, arrow) == ("printf", "%s\\n", ">")
        (folder / file).write_text(content)
        words = [str(folder / file) if word == file else word for word in words]
    context = train_command.make_context("train", words[2:])
    fields = {
        name: value
        for name, value in context.params.items()
        if name not in ("recipe", "output", "resume", "as_json")
    }
    return load_recipe(context.params["recipe"], **given(fields))


def test_all_of_it_stands_there(study):
    _, page = check(study(SPACE | {"stages": STAGES}))
    for words in (
        "Test was read once, for the final model", "chosen on these rows as the best of 6",
        "so its figure is optimistic", "91.0 (88.0 to 93.0)", "Stage 1: 1 epoch on 25 % of the rows",
        "Stage 2: 3 epochs on all rows", "29 % of the time was not training", "not kept after stage 1",
        "No option says which share of the rows that was", "final run, apart", "rank: 1, 4, fill",
    ):  # fmt: skip
        assert words in page.text
    assert page.tags.count("svg") == 2 + 2 + 2
    assert page.tags.count("pre") == 6 + 1


def test_markup_in_names_is_text(study):
    folder = study(
        SPACE | {"data": {"text_columns": ["<script>alert(1)</script>", "b"]}},
        sources={"train": "<script>alert(2)</script> & 'co'.csv", "test": '"><img src=x>'},
    )
    record = folder.read()
    for line in (*record["candidates"], *record["recommendation"]["ranking"]):
        line["name"] = "<script>alert(3)</script> & $x^2$"
    folder.update(**record)
    text, page = check(folder)
    for words in ("<script>alert(2)</script> & 'co'.csv", "<script>alert(3)</script> & $x^2$", "<b>sport</b>, trade & co",
                  "<i>noted</i>", "studies/a & b/best"):  # fmt: skip
        assert words in page.text
    assert "<script" not in text


def test_a_study_with_failures_says_so(study):
    _, page = check(study(SPACE | {"stages": STAGES}, failing=(0, 1, 2, 3, 4)))
    assert "stage 1 failed: loss is <nan> at step 3" in page.text
    _, page = check(study(SPACE, failing=(5,)))
    assert "stage 1 failed: loss is <nan> at step 3" in page.text


def test_several_seeds_and_rows_in_memory_and_no_test(study):
    folder = study(SPACE | {"search": {"repeats": 3}}, sources={"train": "<DataFrame in memory>"}, test=False)
    _, page = check(folder)
    assert "The last stage trained with 3 seeds on the same rows" in page.text
    assert "The rows of train were given in memory" in page.text
    assert "--train TRAIN.csv" in page.text
    assert "There was no test file." in page.text
    assert "Test was read" not in page.text


def test_one_candidate(study):
    _, page = check(study({"space": {"rank": [2]}}))
    assert page.tags.count("pre") == 2
    assert (
        "About the best one's figure: the epoch was chosen on the validation rows among these." in page.text
    )


def test_refused_candidates_say_why(study):
    _, page = check(study({"space": {"rank": [1, 2, 4000]}, "budget": {"budget": 50_000}}))
    assert re.search(r"never started: \S", page.text)
    assert "3, of which 1 never started" in page.text
    assert page.tags.count("pre") == 2 + 1


def test_sixty_candidates_in_halving(study):
    tree = {
        "space": {"rank": [1, 2, 4, 8], "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        "search": {"candidates": 60, "halving": 3, "first_share": 0.1},
    }
    folder = study(tree)
    text, page = check(folder)
    assert "0.0001 to 0.01, evenly by the logarithm" in page.text
    assert page.tags.count("summary") == len(folder.read()["candidates"])
    assert text.count("Stage ") >= 4
    assert folder.report.stat().st_size < 2_000_000


def test_the_rows_that_judge_are_told_also_where_the_first_candidate_failed(study):
    tree = {"space": {"rank": [1, 2]}, "stages": [{"num_train_epochs": 2, "share": 0.5}]}
    for failing in ((), (0,)):
        _, page = check(study(tree, failing=failing))
        assert "500 validation rows and 200 train rows that the last stage leaves out" in page.text


def test_the_same_study_gives_the_same_page(study):
    folder = study(SPACE)
    assert check(folder)[0] == check(folder)[0]


def test_a_study_without_a_recommendation_has_no_report(study):
    folder = study(SPACE)
    record = folder.read()
    del record["recommendation"]
    folder.record_json.write_text(json.dumps(record))
    with pytest.raises(RunError, match="has no recommendation yet"):
        write_report(folder)
    assert not folder.report.exists()


TREES = {
    "plain": SPACE,
    "much of it differs": SPACE | {
        "seed": 7,
        "data": {"text_columns": ["title, or so", "-x"], "label_column": "it's", "max_length": 32, "max_rows_per_class": 9},
        "budget": {"target_modules": ["query"], "layers": [1], "method": "rslora", "lora_dropout": 0.0, "max_rank": 5},
        "training": {"fp16": True, "report_to": ["tensorboard"], "weight_decay": 1e-7, "numerics": "exact"},
        "evaluation": {"margin": 1.5, "cv": 3},
    },
    "nulls": {"space": {"base_dropout": [None, 0.1], "pooling": ["mean", "first"]}, "budget": {"max_rank": None}},
    "layers and targets": {"space": {"layers": ["all", "last:1", [0]], "target_modules": [["query"], ["query", "value"]]}},
    "open rank": {"space": {"learning_rate": [1e-5, 3e-4], "weight_decay": [0.0, 0.01]}},
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_commands_parse_back_to_the_candidates(study, tmp_path, name):
    """Each command gives the candidate's own recipe, but for a rank that is written out in place of being filled up."""
    tree = TREES[name] | {"stages": [{"num_train_epochs": 2.5}]}
    folder = study(tree, sources={"train": "my train.csv", "test": "-t.csv"})
    check(folder)
    recipe = load_search_recipe(tmp_path / "space.yaml", model=folder.read()["encoder"])
    candidates = draw_candidates(recipe, recipe.model.model, 3)
    shown = dict(
        re.findall(
            r"<summary>Candidate (\d+):.*?<pre>(.*?)</pre>", folder.report.read_text(), flags=re.DOTALL
        )
    )
    assert len(shown) == len(candidates)
    for candidate in candidates:
        found = parsed(Page(shown[str(candidate.number)]).text, tmp_path)
        assert (found.data.train, found.data.validation, found.data.test) == ("my train.csv", None, "-t.csv")
        # Three evaluations in 2.5 epochs: three without a better one never come.
        assert (found.training.num_train_epochs, found.training.early_stopping_patience) == (2.5, 3)
        expected = load_recipe(
            candidate.recipe,
            train="my train.csv",
            test="-t.csv",
            num_train_epochs=2.5,
            early_stopping_patience=3,
        )
        same_plan = make_plan(recipe.model.model, 3, **found.budget.model_dump())
        assert same_plan == candidate.plan
        budget = expected.budget.model_copy(
            update={"rank": found.budget.rank, "max_rank": found.budget.max_rank}
        )
        assert found == expected.model_copy(update={"budget": budget})
        if "rank" not in candidate.varied and recipe.budget.max_rank is not None:
            assert found == expected


def test_a_null_goes_into_a_recipe_file():
    lines = repeat_command(
        load_recipe(base_dropout=None), {"train": "it's.csv"}, "runs/candidate-3"
    ).splitlines()
    assert lines == [
        """printf '%s\\n' '{"model": {"base_dropout": null}}' > candidate-3.yaml""",
        """submillion train --recipe candidate-3.yaml --train 'it'"'"'s.csv' --seed 42 --output runs/candidate-3""",
    ]


def test_the_rank_that_fills_the_budget_is_written_out():
    candidate = {"varied": {"rank": "fill", "learning_rate": 0.1}, "rank": 32}
    found = candidate_recipe(load_recipe(max_rank=4), candidate)
    assert (found.budget.rank, found.budget.max_rank, found.training.learning_rate) == (32, "usual", 0.1)
