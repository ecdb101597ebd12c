"""120,000 rows read, checked and tokenised by the default encoder: the first time, and again from the cache.

    python benchmarks/read_again.py           about a minute on 2 cores

Each time is a process of its own: from the call of `prepare` to its return, imports and the check of the
encoder's own file apart from it. Reads ../shared/agnews (see its README: no row of it may be committed): its
75,328 rows, and 44,672 of them with a word doubled and a number added, in a temporary folder that holds the
cache too. With `--try` the figures are printed and not recorded.
"""

import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from record import append, stands

NAME = "read_again"
AGNEWS = Path(__file__).resolve().parents[2] / "shared" / "agnews"
ROWS = 120_000
TIMES_AGAIN = 3


def main() -> None:
    if sys.argv[1:2] == ["--once"]:
        print(json.dumps(once(sys.argv[2])))
        return
    is_try = sys.argv[1:] == ["--try"]
    if not is_try and stands(NAME, rows=ROWS):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path)
        without = measured(path, "off")
        first, *again = [measured(path, f"{folder}/cache") for _ in range(1 + TIMES_AGAIN)]
        size = sum(file.stat().st_size for file in Path(folder, "cache").rglob("*.safetensors"))
    if any(each["tokens"] != without["tokens"] for each in (first, *again)):
        sys.exit("the tokens from the cache are not those without it")
    figures = {
        "without_cache_s": without["seconds"],
        "first_s": first["seconds"],
        "again_s": round(statistics.median(each["seconds"] for each in again), 3),
        "again_each_s": [each["seconds"] for each in again],
        "n_tokens": first["n_tokens"],
        "cache_bytes": size,
    }
    if is_try:
        print(json.dumps(figures))
    else:
        append(NAME, figures, rows=ROWS)


def write_rows(path: Path) -> None:
    draw = random.Random(0)
    rows = pd.read_csv(AGNEWS / "train_text.csv", keep_default_na=False)
    more = rows.sample(ROWS - len(rows), random_state=0)
    altered = []
    for text in more["text"]:
        words = text.split(" ")
        words.insert(draw.randrange(len(words)), draw.choice(words))
        altered.append(" ".join([*words, str(draw.randrange(10**6))]))
    pd.concat([rows, more.assign(text=altered)]).to_csv(path, index=False)


def measured(path: Path, cache: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--once", str(path)],
        env=os.environ | {"SUBMILLION_CACHE": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def once(path: str) -> dict[str, Any]:
    from rich.console import Console

    import submillion.training.train  # noqa: F401  what `submillion train` has imported before it prepares
    from submillion.encoders import load_config, load_tokenizer, resolve_encoder
    from submillion.recipe import Recipe
    from submillion.training.prepare import Sources, prepare

    recipe = Recipe()
    encoder = resolve_encoder(recipe.model.model)
    load_config(encoder), load_tokenizer(encoder)  # transformers imports much of itself only here
    started = time.perf_counter()
    prepared = prepare(recipe, Sources(path), Console(file=StringIO()))
    seconds = round(time.perf_counter() - started, 3)
    rows = [each.input_ids for each in prepared.tokens.values()]
    return {
        "seconds": seconds,
        "n_tokens": sum(int(each.lengths.sum()) for each in rows),
        "tokens": hash_of(rows),
    }


def hash_of(rows: list[Any]) -> str:
    digest = hashlib.sha256()
    for each in rows:
        digest.update(each.lengths.tobytes())
        digest.update(each.flat.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
