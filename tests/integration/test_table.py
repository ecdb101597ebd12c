"""`search --recipe paper-table1`: five fixed rows, each read once after all are trained; nothing chosen by it."""

import json

import pytest

import submillion
from conftest import learnable_rows, write_csv
from submillion.cli.main import main
from submillion.errors import ConfigError
from submillion.evaluation import whole
from submillion.recipe import load_recipe
from submillion.run import RunFolder
from submillion.study.folder import StudyFolder
from submillion.study.recipe import load_search_recipe
from submillion.study.table import unpublished

SMALL = {"max_length": 16, "num_train_epochs": 1, "min_rows_to_split": 50, "seed": 1}


@pytest.fixture
def arguments(tiny_encoder, tmp_path):
    return {
        "recipe": "paper-table1",
        "train": write_csv(tmp_path / "train.csv", learnable_rows(150)),
        "test": write_csv(tmp_path / "test.csv", learnable_rows(60, seed=9)),
        "model": tiny_encoder("roberta"),
        **SMALL,
    }


def test_five_rows_are_trained_and_only_then_read(arguments, tmp_path, monkeypatch, capsys):
    order = []
    for name in ("train_whole", "evaluate_run"):
        plain = getattr(whole, name)

        def noted(*given, plain=plain, name=name, **named):
            order.append(name)
            if name == "evaluate_run" and order.count(name) == 3 and "killed" not in order:
                order.append("killed")
                raise KeyboardInterrupt
            return plain(*given, **named)

        monkeypatch.setattr(whole, name, noted)
    with pytest.raises(KeyboardInterrupt):
        submillion.search(**arguments, output=tmp_path / "study", quiet=True)
    assert order == ["train_whole"] * 5 + ["evaluate_run"] * 3 + ["killed"]
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
    main(["search", *flags, "--output", str(tmp_path / "study"), "--resume"])
    assert order[9:] == ["evaluate_run"] * 3, "what is trained and read is not done again"
    out = capsys.readouterr().out
    record = json.loads((tmp_path / "study" / "study.json").read_text())
    assert [row["name"] for row in record["table"]] == [
        row.recipe for row in load_search_recipe("paper-table1").table.rows
    ]
    for row in record["table"]:
        assert len(row["reads"]) == 1
        assert row["n"] == 60
        assert row["name"] in out
        assert f"{row['trainable_parameters']:,}" in out
        assert RunFolder(tmp_path / "study" / "rows" / row["name"]).read()["status"] == "finished"
    assert "published figures are left out: they are of FacebookAI/roberta-base" in out
    assert "94.5" not in out
    assert "recommendation" not in record


def test_published_figures_stand_beside_the_papers_own_recipe_only(tmp_path):
    recipe = load_search_recipe("paper-table1")
    folder = StudyFolder(tmp_path)

    def why(n_rows=120_000, n_test=7600, **fields):
        run = RunFolder(tmp_path / "rows" / recipe.table.rows[0].recipe)
        run.path.mkdir(parents=True, exist_ok=True)
        splits = {"train": {"n_rows": n_rows - 6_000}, "validation": {"n_rows": 6_000}, "calibration": None}
        run.run_json.write_text(
            json.dumps({"schema_version": 1, "status": "finished", "data": {"splits": splits}})
        )
        rows = [load_recipe(row.recipe, **fields) for row in recipe.table.rows]
        return unpublished(recipe.table, rows, folder, n_test)

    assert why() is None
    assert why(model="elsewhere/roberta-base", speedups="none", base_dropout=None, seed=5) is None
    assert why(n_rows=75_000) == "they are of 120,000 train rows, these of 75,000"
    assert why(model="somewhere/bert") == "they are of FacebookAI/roberta-base, these of somewhere/bert"
    assert why(n_rows=3_600_000) == "they are of 120,000 train rows, these of 3,600,000"
    assert why(n_test=38_000) == "they are of 7,600 test rows, these of 38,000"
    assert why(max_length=8) == "another max_length was asked for"
    assert why(numerics="int8") == "another numerics was asked for"
    assert why(learning_rate=1e-3) == "another learning_rate was asked for"


def test_a_table_without_test_rows_is_refused(arguments, tmp_path):
    del arguments["test"]
    with pytest.raises(ConfigError, match="name the test rows by --test"):
        submillion.search(**arguments, output=tmp_path / "study", quiet=True)
    assert not (tmp_path / "study").exists()
