"""Prediction, text in, label out, tokenising included, beside the transformers pipeline at its best batch size.

    python benchmarks/predict_speed.py               a few minutes on 2 cores

One adapter (all-MiniLM-L6-v2, first token, 2,000 AG News rows, one epoch, the default numerics), 6,000 other train rows:
here by `submillion.load(run).predict`, there by `pipeline("text-classification")` on the merged fp32 model and the run's
own tokenizer, which cuts texts where training did. Three rounds, the sides in turn, medians; the share of equal
labels. Reads ../shared/agnews; the test split is not read.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

import submillion
from record import append, source, stands

NAME = "predict_speed"
SOURCE = source("scoring.py", "closeness.py", "prediction", "fast", "model")
"""A line stands for one version of what predicts."""

AGNEWS = Path(__file__).resolve().parents[2] / "shared" / "agnews"
BATCH_SIZES = (1, 8, 16, 32, 64)
N_ROWS, ROUNDS = 6000, 3


def main() -> None:
    key = {"rows": N_ROWS, "source": SOURCE}
    if stands(NAME, **key):
        return
    rows = pd.read_csv(AGNEWS / "train_text.csv").sample(2000 + N_ROWS, random_state=3)
    texts = rows["text"][2000:].tolist()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(rows[:2000], run)
        ours, theirs = submillion.load(run), stock_pipeline(run)
        best = max(BATCH_SIZES, key=lambda size: _rate(lambda: theirs(texts[:300], batch_size=size), 300))
        seconds: dict[str, list[float]] = {"ours": [], "pipeline": []}
        for _ in range(ROUNDS):
            started = time.perf_counter()
            labels = ours.predict(texts)
            seconds["ours"].append(time.perf_counter() - started)
            started = time.perf_counter()
            answers = theirs(texts, batch_size=best)
            seconds["pipeline"].append(time.perf_counter() - started)
    rates = {side: N_ROWS / statistics.median(each) for side, each in seconds.items()}
    equal = statistics.mean(label == answer["label"] for label, answer in zip(labels, answers, strict=True))
    figures = {
        "rows_per_second": {side: round(rate, 1) for side, rate in rates.items()},
        "ratio": round(rates["ours"] / rates["pipeline"], 2),
        "share_of_equal_labels": round(equal, 5),
        "pipeline_batch_size": best,
    }
    append(NAME, figures, **key)


def train(rows: Any, run: Path) -> None:
    """Train the adapter that predicts."""
    submillion.train(
        rows,
        output=run,
        pooling="first",
        head_init="random",
        num_train_epochs=1,
        min_rows_to_split=10**9,
        quiet=True,
    )


def stock_pipeline(run: Path) -> Any:
    """Return the transformers pipeline over the adapter merged into its fp32 base."""
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    from submillion.encoders import packaged_default

    names = dict(enumerate(submillion.load(run).label_names))
    base = AutoModelForSequenceClassification.from_pretrained(
        packaged_default(), num_labels=len(names), id2label=names
    )
    model = PeftModel.from_pretrained(base, run / "adapter").merge_and_unload().eval()
    tokenizer = AutoTokenizer.from_pretrained(run / "adapter")
    return pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True)


def _rate(call: Any, n_rows: int) -> float:
    started = time.perf_counter()
    call()
    return n_rows / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
