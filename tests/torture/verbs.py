"""The verbs that are killed, one row each: what stands before, what is done, what must come of it."""

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import learnable_rows, sha256s, what_counts, write_csv, write_encoder

TRAINING = {
    "num_train_epochs": 2,
    "learning_rate": 3e-3,
    "min_rows_to_split": 50,
    "validation_share": 0.2,
    "calibration_share": 0.1,
    "save_steps": 2,
    "logging_steps": 1,
    "per_device_train_batch_size": 16,
    "seed": 3,
    "quiet": True,
}
SPACE = """
space:
  rank: [1, 2]
stages:
  - {num_train_epochs: 1, share: 0.5}
final: {num_train_epochs: 2}
"""
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?|\..+\.partial")


@dataclass(frozen=True)
class Ground:
    """What every trial reads, and none writes: data, an encoder, a finished run that has been evaluated."""

    path: Path

    @property
    def run(self) -> Path:
        """The finished run."""
        return self.path / "run"

    def arguments(self) -> dict[str, Any]:
        """Return what train and search are called with, but the output."""
        return {
            "train": str(self.path / "train.csv"),
            "test": str(self.path / "test.csv"),
            "model": str(self.path / "encoder"),
            **TRAINING,
        }

    def make(self) -> None:
        """Write the data and the encoder, and train the run; its test split is read once."""
        import submillion

        write_csv(self.path / "train.csv", learnable_rows(100))
        write_csv(self.path / "test.csv", learnable_rows(40, seed=1))
        write_csv(self.path / "other.csv", learnable_rows(30, seed=2))
        (self.path / "space.yaml").write_text(SPACE)
        (self.path / "encoder").mkdir()
        write_encoder(self.path / "encoder", "bert")
        submillion.train(output=self.run, **self.arguments())
        submillion.evaluate(self.run, str(self.path / "test.csv"))
        other = str(self.path / "other.csv")
        submillion.evaluate(self.run, other, output=self.path / "evaluated")
        submillion.predict(self.run, other, output=self.path / "earlier.parquet")
        submillion.export(self.run, self.path / "exported", format="merged")


@dataclass(frozen=True)
class Verb:
    """A row of the table.

    Attributes:
        name: What is tortured.
        lay: Lays what stands before into a trial's folder.
        do: Does it there, or goes on with it.
        came_to: Returns what it came to, which must be the same with and without kills.
        lost: Returns what a kill has spoilt, nothing where all is well.
    """

    name: str
    lay: Callable[[Ground, Path], None]
    do: Callable[[Ground, Path], Any]
    came_to: Callable[[Ground, Path], Any]
    lost: Callable[[Ground, Path], list[str]]


def left_over(place: Path) -> list[str]:
    """Return temporary files, and checkpoints, that a finished verb has left behind."""
    found = [path for path in place.rglob("*") if TEMPORARY.fullmatch(path.name)]
    found += [path for path in place.rglob("checkpoints") if path.is_dir()]
    return sorted(str(path.relative_to(place)) for path in found)


def _damaged(place: Path) -> list[str]:
    """Return the files that bear their final name and cannot be read; in a checkpoint without its marker none counts."""
    found = []
    for path in sorted(place.rglob("*")):
        parts = path.relative_to(place).parts
        if not path.is_file() or any(part.startswith(".") for part in parts):
            continue
        if any(
            part.startswith("checkpoint-")
            and not (place.joinpath(*parts[: index + 1]) / "complete.json").is_file()
            for index, part in enumerate(parts)
        ):
            continue
        try:
            _read(path)
        except Exception as error:
            found.append(f"{'/'.join(parts)}: {error}")
    return found


def _read(path: Path) -> None:
    from pyarrow import parquet
    from safetensors.numpy import load_file

    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".safetensors":
        load_file(path)
    elif path.suffix == ".parquet":
        parquet.read_table(path, use_threads=False)
    elif path.suffix == ".jsonl":
        for line in path.read_text(encoding="utf-8").splitlines()[:-1]:  # the last may be cut short
            json.loads(line)


def _sha256_of_files(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _nothing(ground: Ground, place: Path) -> None:
    pass


@contextmanager
def _done_already(words: str) -> Iterator[None]:
    """Let pass that there is nothing to go on with, after a kill that came behind the last step."""
    from submillion.errors import RunError

    try:
        yield
    except RunError as error:
        if words not in str(error):
            raise


# train


def _train(ground: Ground, place: Path) -> None:
    import submillion

    with _done_already("is finished: there is nothing to resume"):
        submillion.train(output=place / "run", resume=True, **ground.arguments())


def _trained(ground: Ground, place: Path) -> Any:
    import submillion

    record = json.loads((place / "run" / "run.json").read_text())
    return {
        "sha256": sha256s(place / "run"),
        **{
            name: record[name] for name in ("status", "figures", "best_epoch", "temperatures", "pool_weights")
        },
        "labels": submillion.predict(place / "run", [text for text, _ in learnable_rows(20, seed=4)]),
        "steps": [json.loads(line)["step"] for line in (place / "run" / "history.jsonl").open()],
        "files": sorted(path for path in _sha256_of_files(place) if "checkpoints" not in path),
    }


def _train_lost(ground: Ground, place: Path) -> list[str]:
    import submillion
    from submillion.errors import RunError

    found = _damaged(place)
    record = place / "run" / "run.json"
    if record.is_file() and json.loads(record.read_text())["status"] == "finished":
        return found
    try:
        submillion.load(place / "run")
    except RunError:
        return found
    return [*found, "a run that is not finished was loaded"]


# predict


def _earlier_predictions(ground: Ground, place: Path) -> None:
    (place / "labels.csv").write_text("what,stood\nbefore,it\n")
    shutil.copy(ground.path / "earlier.parquet", place / "labels.parquet")


def _predict(name: str) -> Callable[[Ground, Path], None]:
    def do(ground: Ground, place: Path) -> None:
        import submillion

        submillion.predict(ground.run, str(ground.path / "test.csv"), output=place / name)

    return do


def _predicted(ground: Ground, place: Path) -> Any:
    return _sha256_of_files(place)


def _predict_lost(ground: Ground, place: Path) -> list[str]:
    found = _damaged(place)
    lines = list(csv.reader((place / "labels.csv").open()))
    if lines[0] != ["what", "stood"] and len(lines) != 41:
        found.append(f"labels.csv is neither the one before nor the new one: {len(lines)} lines")
    return found


# evaluate


def _earlier_evaluation(ground: Ground, place: Path) -> None:
    shutil.copytree(ground.run, place / "run")
    shutil.copytree(ground.path / "evaluated", place / "evaluated")


def _evaluate(ground: Ground, place: Path) -> None:
    import submillion

    submillion.evaluate(place / "run", str(ground.path / "test.csv"), output=place / "evaluated")


def _report_of(place: Path) -> Any:
    report = json.loads((place / "evaluated" / "report.json").read_text())
    return {name: value for name, value in report.items() if name not in ("run", "test_reads")}


def _evaluated(ground: Ground, place: Path) -> Any:
    files = _sha256_of_files(place / "evaluated")
    return {
        "report": _report_of(place),
        "files": sorted(files),
        **{name: files[name] for name in ("predictions.parquet", "rows.csv")},
    }


def _evaluate_lost(ground: Ground, place: Path) -> list[str]:
    found = _damaged(place)
    record = json.loads((place / "run" / "run.json").read_text())
    first = json.loads((ground.run / "run.json").read_text())["test_reads"]
    if record["status"] != "finished" or record["test_reads"][: len(first)] != first:
        found.append("the run has forgotten a read of its test split")
    if not (place / "evaluated" / "report.json").is_file():
        return found  # nobody takes it for whole
    earlier, now = _sha256_of_files(ground.path / "evaluated"), _sha256_of_files(place / "evaluated")
    if now == earlier:
        return found
    if mixed := sorted(name for name in now if now[name] == earlier[name]):
        found.append(f"report.json stands beside {', '.join(mixed)} of another evaluation")
    if len(record["test_reads"]) == len(first):
        found.append("test labels were reported on and their read was not noted")
    return found


# search


def _search(ground: Ground, place: Path) -> None:
    import submillion

    with _done_already("is a finished study"):
        submillion.search(
            recipe=ground.path / "space.yaml", output=place / "study", resume=True, **ground.arguments()
        )


def _searched(ground: Ground, place: Path) -> Any:
    record = json.loads((place / "study" / "study.json").read_text())
    counts = {name: value for name, value in what_counts(record).items() if name != "reads"}
    best = json.loads((place / "study" / "best" / "run.json").read_text())
    files = [path for path in _sha256_of_files(place) if "checkpoints" not in path]
    return counts | {
        "sha256": sha256s(place / "study" / "best"),
        "figures": best["figures"],
        "files": sorted(files),
    }


def _search_lost(ground: Ground, place: Path) -> list[str]:
    return _damaged(place)


# export


def _earlier_export(ground: Ground, place: Path) -> None:
    shutil.copytree(ground.path / "exported", place / "exported")


def _export(ground: Ground, place: Path) -> None:
    import submillion

    submillion.export(ground.run, place / "exported", format="peft", overwrite=True)


def _exported(ground: Ground, place: Path) -> Any:
    return _sha256_of_files(place / "exported")


def _export_lost(ground: Ground, place: Path) -> list[str]:
    found = _damaged(place)
    earlier, now = _sha256_of_files(ground.path / "exported"), _sha256_of_files(place / "exported")
    formats = json.loads((place / "exported" / "export.json").read_text())["format"]
    if (now == earlier) != (formats == "merged"):
        found.append("the export is neither the one before nor the new one")
    return found


VERBS = (
    Verb("train", _nothing, _train, _trained, _train_lost),
    Verb("predict", _earlier_predictions, _predict("labels.csv"), _predicted, _predict_lost),
    Verb("predict to Parquet", _earlier_predictions, _predict("labels.parquet"), _predicted, _predict_lost),
    Verb("evaluate", _earlier_evaluation, _evaluate, _evaluated, _evaluate_lost),
    Verb("export", _earlier_export, _export, _exported, _export_lost),
    Verb("search", _nothing, _search, _searched, _search_lost),
)
