"""What the lines of exports' READMEs answer, in one process that cannot import submillion."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from conftest import BLOCK_SUBMILLION

POOLINGS = {"first": "roberta", "mean": "bert"}
"""The family that each pooling is exported of."""

COMMON: dict[str, Any] = {
    "rank": 8,
    "target_modules": ("all-linear",),
    "head_init": "random",
    "numerics": "exact",
    "max_length": 24,
    "min_rows_to_split": 100,
    "validation_share": 0.2,
    "quiet": True,
}
"""How every run to be exported is trained; validation rows are held back for the gate."""

WITHOUT_SUBMILLION = (
    BLOCK_SUBMILLION
    + """
import contextlib, io

asked, bases, answers = *json.load(open(sys.argv[1])), {}
for name, (folder, texts) in asked.items():
    os.chdir(folder)
    texts = [tuple(text) if isinstance(text, list) else text for text in texts]
    (code,) = re.findall(r"```python\\n(.*?)```", open("README.md", encoding="utf-8").read(), re.DOTALL)
    code, n_examples = re.subn(r"^texts = .*$", lambda _: "texts = " + repr(texts), code, flags=re.MULTILINE)
    assert n_examples == 1
    for base in bases:  # an adapter's reader says where the base lies
        code = code.replace(f'encoder = "{os.path.basename(base)}"', f"encoder = {base!r}")
    space, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, space)
    answers[name] = {
        "names": list(dict(space["names"]).values()),
        "logits": space["logits_of"](texts).tolist(),
        "probabilities": space["probabilities_of"](texts).tolist(),
        "alone": space["logits_of"](texts[:1]).tolist(),
        "printed": printed.getvalue().splitlines(),
    }
json.dump(answers, open(sys.argv[2], "w"))
"""
)


class Answers(TypedDict):
    """Of one export: names by label, logits and probabilities of all texts, logits of the first text alone, printed lines."""

    names: list[str]
    logits: list[list[float]]
    probabilities: list[list[float]]
    alone: list[list[float]]
    printed: list[str]


def answers_of(
    asked: Mapping[str, tuple[str, list[Any]]], bases: Iterable[str], folder: Path
) -> dict[str, Answers]:
    """Run the README of each export on texts of its own.

    Args:
        asked: Name -> the export's folder, the texts.
        bases: Folders of the encoders that adapters may need.
        folder: Empty.
    """
    told, out = folder / "asked.json", folder / "answers.json"
    told.write_text(json.dumps([asked, list(bases)]))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SUBMILLION, str(told), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())
