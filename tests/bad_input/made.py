"""Bad inputs that are made for a test: too large to keep, or a whole model, adapter or run with one thing wrong in it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

FILES = Path(__file__).parent / "files"
OLD = Path(__file__).parents[1] / "old_runs" / "schema_1"


def large_cell(path: Path) -> None:
    """One text of 10 MB."""
    path.write_text("text,label\na,x\n" + "word " * 2_000_000 + ",y\n")


def large_recipe(path: Path) -> None:
    """A recipe of 1 MB."""
    path.write_text("# " + "x" * 1_000_000 + "\n")


def folder(path: Path) -> None:
    """A directory where a file is wanted."""
    path.mkdir()
    (path / "rows.csv").write_text("text,label\na,x\nb,y\n")


def one_row_classes(path: Path) -> None:
    """Classes of one row each, all of which stand in a file of integers that differ."""
    path.write_text("text,label\n" + "".join(f"text {i},{i}\n" for i in range(100)))


def encoder(**changes: object) -> Callable[[Path], None]:
    """An encoder's folder, its config changed; a value of None takes the key out."""

    def make(path: Path) -> None:
        shutil.copytree(OLD / "encoder", path)
        _change(path / "config.json", changes)

    return make


def encoder_with(weights: str) -> Callable[[Path], None]:
    """An encoder's folder with other weights."""

    def make(path: Path) -> None:
        shutil.copytree(OLD / "encoder", path)
        shutil.copyfile(FILES / weights, path / "model.safetensors")

    return make


def encoder_pickled(path: Path) -> None:
    """An encoder whose weights are a pickle that would run a command."""
    shutil.copytree(OLD / "encoder", path)
    (path / "model.safetensors").unlink()
    shutil.copyfile(FILES / "os_system.pkl", path / "pytorch_model.bin")


def adapter(**changes: object) -> Callable[[Path], None]:
    """An adapter's folder, its config changed."""

    def make(path: Path) -> None:
        shutil.copytree(OLD / "run" / "adapter", path)
        _change(path / "adapter_config.json", {"base_model_name_or_path": str(OLD / "encoder"), **changes})

    return make


def adapter_with(weights: str, name: str = "adapter_model.safetensors") -> Callable[[Path], None]:
    """An adapter's folder with other weights."""

    def make(path: Path) -> None:
        adapter()(path)
        shutil.copyfile(FILES / weights, path / name)

    return make


def adapter_pickled(path: Path) -> None:
    """An adapter whose weights are a pickle that would run a command."""
    adapter()(path)
    (path / "adapter_model.safetensors").unlink()
    shutil.copyfile(FILES / "os_system.pkl", path / "adapter_model.bin")


def adapter_text(name: str, text: str, **changes: object) -> Callable[[Path], None]:
    """An adapter's folder with other text in one of its files."""

    def make(path: Path) -> None:
        adapter(**changes)(path)
        (path / name).write_text(text)

    return make


def run(text: str | None = None, **changes: object) -> Callable[[Path], None]:
    """A run folder with another run.json, or with fields of it changed."""

    def make(path: Path) -> None:
        shutil.copytree(OLD / "run", path)
        if text is not None:
            (path / "run.json").write_text(text)
        _change(path / "run.json", changes)

    return make


def run_with(name: str, text: str | None) -> Callable[[Path], None]:
    """A run folder with other text in one of its files, or without it."""

    def make(path: Path) -> None:
        shutil.copytree(OLD / "run", path)
        (path / name).write_text(text) if text is not None else (path / name).unlink()

    return make


def _change(path: Path, changes: dict[str, object]) -> None:
    if changes:
        gone = {key for key, value in changes.items() if value is None}
        record = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in record.items() if key not in gone}))


MADE: dict[str, Callable[[Path], None]] = {
    "ten_megabytes_in_a_cell.csv": large_cell,
    "one_megabyte.yaml": large_recipe,
    "a_directory.csv": folder,
    "empty_directory": lambda path: path.mkdir(),
    "one_row_classes.csv": one_row_classes,
    "model_asks_for_code": encoder(
        model_type="own",
        architectures=["Own"],
        auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"},
    ),
    "model_of_unknown_type": encoder(model_type="gpt99"),
    "model_without_type": encoder(model_type=None, architectures=None),
    "model_width_of_text": encoder(hidden_size="wide"),
    "model_width_not_divisible": encoder(hidden_size=17),
    "model_pickled": encoder_pickled,
    "model_huge_header": encoder_with("huge_header.safetensors"),
    "model_overlapping_offsets": encoder_with("overlapping.safetensors"),
    "model_beyond_the_file": encoder_with("beyond_the_file.safetensors"),
    "model_header_no_json": encoder_with("no_json.safetensors"),
    "adapter_pickled": adapter_pickled,
    "adapter_huge_header": adapter_with("huge_header.safetensors"),
    "adapter_overlapping_offsets": adapter_with("overlapping.safetensors"),
    "adapter_head_beyond_the_file": adapter_with("beyond_the_file.safetensors", "head.safetensors"),
    "adapter_head_overlapping": adapter_with("overlapping.safetensors", "head.safetensors"),
    "adapter_config_no_json": adapter_text("adapter_config.json", "{"),
    "adapter_config_a_list": adapter_text("adapter_config.json", "[]"),
    "adapter_names_a_list": adapter_text("submillion.json", "[]"),
    "adapter_too_few_names": adapter_text("submillion.json", '{"label_names": ["a"]}'),
    "adapter_of_unknown_kind": adapter(peft_type="MAGIC"),
    "adapter_huge_rank": adapter(r=1 << 40),
    "adapter_base_is_gone": adapter_text(
        "submillion.json",
        '{"model": "./gone", "label_names": ["a", "b", "c"]}',
        base_model_name_or_path="./gone",
    ),
    "run_json_empty": run(""),
    "run_json_cut": run('{"schema_version": 1, "status": "fini'),
    "run_json_a_list": run("[]"),
    "run_json_nested": run("[" * 5000),
    "run_json_bytes": run("\x00"),
    "run_without_status": run('{"schema_version": 1}'),
    "run_of_a_later_schema": run(schema_version=99),
    "run_still_running": run(status="running"),
    "run_without_data": run('{"schema_version": 1, "status": "finished"}'),
    "run_recipe_unknown_key": run(recipe={"training": {"epoch": 3}}),
    "run_recipe_a_text": run(recipe="rm -rf"),
    "run_without_config": run_with("adapter/adapter_config.json", None),
    "run_without_weights": run_with("adapter/adapter_model.safetensors", None),
}
"""What each bad input is made by."""
