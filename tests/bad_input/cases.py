"""The table of bad inputs: `manifest.yaml`, a command for each kind of input, and how one is run.

Kinds: `data` is trained on, `input` is labelled by a good run, `recipe` is trained by, `model` is trained, `adapter` and `run`
label a text. In the manifest's messages `...` stands for what another library says, or for a folder's place.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml
from made import FILES, MADE, OLD

MANIFEST = Path(__file__).parent / "manifest.yaml"

COMMANDS = {
    "data": "train --train FILE --model encoder --output out",
    "input": "predict good_run --input FILE --output out --encoder encoder",
    "recipe": "train --recipe FILE --train good.csv --model encoder --output out",
    "model": "train --train good.csv --model FILE --output out",
    "adapter": "predict FILE --text goal",
    "run": "predict FILE --text goal --encoder encoder",
}


@dataclass(frozen=True)
class Case:
    """One bad input: its file or folder, what is done with it, and what is then said, line by line."""

    file: str
    kind: str
    says: tuple[str, ...]

    @property
    def command(self) -> str:
        """What a user types."""
        return COMMANDS[self.kind].replace("FILE", self.file)

    def is_said(self, printed: list[str]) -> bool:
        """Whether these lines are the ones foretold."""
        patterns = [re.escape(line).replace(r"\.\.\.", ".*") for line in self.says]
        return len(printed) == len(patterns) and all(
            re.fullmatch(pattern, line) for pattern, line in zip(patterns, printed, strict=True)
        )


def cases() -> list[Case]:
    """Return the manifest."""
    return [
        Case(entry["file"], entry["kind"], tuple(entry["says"].rstrip("\n").split("\n")))
        for entry in yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    ]


def lay_out(case: Case, folder: Path) -> None:
    """Put the bad input into ``folder``, and beside it a good encoder, good rows and a good run."""
    shutil.copytree(OLD / "encoder", folder / "encoder")
    if case.kind == "input":
        shutil.copytree(OLD / "run", folder / "good_run")
    rows = "".join(f"goal match {i},{'xy'[i % 2]}\n" for i in range(12))
    (folder / "good.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    if case.file in MADE:
        MADE[case.file](folder / case.file)
    elif (FILES / case.file).is_dir():
        shutil.copytree(FILES / case.file, folder / case.file)
    else:
        shutil.copyfile(FILES / case.file, folder / case.file)
