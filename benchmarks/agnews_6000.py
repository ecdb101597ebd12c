"""all-MiniLM-L6-v2 on 6,000 AG News rows by the default recipe, beside its baselines; the official test split.

    python benchmarks/agnews_6000.py                about a quarter of an hour on 2 cores

Reads ../shared/agnews (see its README: no row of it may be committed). Interrupted, it goes on from runs/agnews_6000.
"""

from pathlib import Path

import pandas as pd

import submillion
from record import append, stands

NAME = "agnews_6000"
AGNEWS = Path(__file__).resolve().parents[2] / "shared" / "agnews"
RUN = Path(__file__).resolve().parents[1] / "runs" / NAME
SEED = 42


def main() -> None:
    if stands(NAME, rows=6000, seed=SEED):
        return
    rows = pd.read_csv(AGNEWS / "train_text.csv").sample(6000, random_state=SEED).reset_index(drop=True)
    # The official test file numbers the labels from 1, the train file from 0.
    test = pd.read_csv(AGNEWS / "test.csv", header=None, names=["label", "title", "description"])
    test = pd.DataFrame({"label": test["label"] - 1, "text": test["title"] + " " + test["description"]})
    record = submillion.train(rows, test=test, output=RUN, seed=SEED, resume=True)
    report = submillion.evaluate(RUN, test)
    figures = {
        "accuracy": report["accuracy"],
        "macro_f1": report["macro_f1"],
        "baselines": [
            {
                "name": each["name"],
                "accuracy": each["accuracy"]["value"],
                "verdict": each["verdict"]["sentence"],
            }
            for each in report["baselines"]
        ],
        "validation_accuracy": record["figures"]["validation"]["accuracy"],
        "best_epoch": record["best_epoch"],
        "trainable_parameters": record["plan"]["trainable_parameters"],
        "max_length": record["data"]["max_length"],
        "share_of_rows_cut": record["data"]["share_of_rows_cut"],
        "seconds": record["seconds"],
        "resumed": record["resumed"],
    }
    append(NAME, figures, rows=6000, seed=SEED)


if __name__ == "__main__":
    main()
