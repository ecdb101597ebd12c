"""The quickstart's task on its whole test split, 3 seeds: each draws other rows to learn from.

python benchmarks/quickstart_seeds.py           about three minutes on 2 cores
"""

import tempfile
import time
from pathlib import Path

import submillion
from record import append, stands
from submillion.cli.quickstart import find_texts

NAME = "quickstart_seeds"


def main() -> None:
    train, test = find_texts(Path(tempfile.mkdtemp()))
    for seed in (42, 43, 44):
        if stands(NAME, seed=seed, numerics="default"):
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            record = submillion.train(
                train, test=test, recipe="quickstart", output=f"{folder}/run", seed=seed, quiet=True
            )
            report = submillion.evaluate(f"{folder}/run", test)
        best = max(report["baselines"], key=lambda each: each["accuracy"]["value"])
        figures = {
            "adapter": report["accuracy"],
            **{each["name"]: each["accuracy"]["value"] for each in report["baselines"]},
            "against_best_baseline": best["verdict"]["sentence"],
            "p_value": best["verdict"]["p_value"],
            "trainable_parameters": record["plan"]["trainable_parameters"],
            "training_s": record["seconds"]["training"],
            "total_s": round(time.monotonic() - started, 1),
        }
        figures["numerics"] = record["with"]["numerics"]
        append(NAME, figures, seed=seed, numerics="default")


if __name__ == "__main__":
    main()
