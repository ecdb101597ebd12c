"""Every method and start at two budgets, beside LoRA; on train rows left out, no test split is read.

    python benchmarks/methods.py                   some hours on 2 cores; goes on where it stopped
    python benchmarks/methods.py --methods ia3     a part of it, so that two processes share the machine
    python benchmarks/methods.py --summary         the table, without computing

all-MiniLM-L6-v2 on Reuters R8: 240 train rows a seed, 6 epochs, texts cut at 64 tokens, pooling mean, exact numerics for
all; each method with its own target modules and the largest rank within the budget. The learning rate is the one of the
method's list (`RATES`) that is most accurate at the smaller budget on the draw of seed 0, by 600 train rows left out; with
that rate seeds 1, 2 and 3 are measured at both budgets, on 600 rows left out each. A method whose count is the same at both
budgets is run once.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from functools import cache
from typing import Any

import numpy as np

import submillion
import texts
from record import append, lines, stands
from submillion.budget import METHODS, make_plan
from submillion.budget.methods import INITIALISATIONS
from submillion.encoders import resolve_encoder

NAME = "methods"
BUDGETS = (100_000, 1_000_000)
SEEDS, N_ROWS, N_LEFT_OUT, EPOCHS, N_LABELS = (1, 2, 3), 240, 600, 6, 8
MATRICES, VECTORS = (5e-4, 1e-3, 2e-3), (3e-3, 1e-2, 3e-2)
RATES = dict.fromkeys(("vera", "ia3", "bitfit", "ln_tuning"), VECTORS) | {
    "oft": (5e-4, 2e-3, 8e-3),
    "boft": (5e-4, 2e-3, 8e-3),
    "prompt_tuning": (1e-2, 3e-2, 1e-1),
}
"""Learning rates that a method is tried with; those that are not named: `MATRICES`."""

CANDIDATES: dict[str, dict[str, Any]] = {
    **{method: {"method": method} for method in METHODS},
    **{f"lora, {start}": {"init_lora_weights": start} for start in INITIALISATIONS},
}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--methods", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    options.add_argument("--budgets", nargs="+", type=int, choices=BUDGETS, default=BUDGETS)
    options.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for candidate, budget in itertools.product(() if asked.summary else asked.methods, asked.budgets):
        if budget != BUDGETS[0] and trainable(candidate, budget) == trainable(candidate, BUDGETS[0]):
            continue
        for rate in rates(candidate):
            measure(candidate, BUDGETS[0], 0, rate)
        best = chosen(candidate)
        for seed in asked.seeds:
            measure(candidate, budget, seed, best)
    print(summary())


def rates(candidate: str) -> tuple[float, ...]:
    """Return the learning rates that a candidate is tried with."""
    return RATES.get(candidate, MATRICES)


def chosen(candidate: str) -> float:
    """Return the rate that is most accurate on seed 0's rows at the smaller budget; of equals the smallest."""
    tried = {
        line["settings"]["learning_rate"]: line["figures"]["adapter"]
        for line in lines(NAME)
        if (line["settings"]["candidate"], line["settings"]["budget"], line["settings"]["seed"])
        == (candidate, BUDGETS[0], 0)
    }
    return max(rates(candidate), key=lambda rate: (tried[rate], -rate))


@cache
def trainable(candidate: str, budget: int) -> int:
    """Return how many parameters a candidate trains within a budget."""
    model = resolve_encoder(submillion.load_recipe().model.model)
    plan = make_plan(model, N_LABELS, budget=budget, pooling="mean", **CANDIDATES[candidate])
    return plan.trainable_parameters


def measure(candidate: str, budget: int, seed: int, rate: float) -> None:
    """Train once and keep what it came to, unless that stands."""
    key = {"candidate": candidate, "budget": budget, "seed": seed, "learning_rate": rate}
    if not stands(NAME, **key):
        append(NAME, run(candidate, budget, seed, rate), **key)


def run(candidate: str, budget: int, seed: int, rate: float) -> dict[str, Any]:
    """Train on rows of this seed and return accuracies on the rows left out, in points of 100."""
    rows = texts.read("r8")[0].drop_duplicates("text").sample(frac=1, random_state=seed)
    left_out, train = rows[:N_LEFT_OUT], rows[N_LEFT_OUT : N_LEFT_OUT + N_ROWS]
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        record = submillion.train(
            train,
            output=f"{folder}/run",
            budget=budget,
            max_rank=None,
            **CANDIDATES[candidate],
            learning_rate=rate,
            num_train_epochs=EPOCHS,
            seed=seed,
            max_length=64,
            min_rows_to_split=10**9,
            numerics="exact",
            quiet=True,
        )
        seconds = time.monotonic() - started
        accuracies: dict[str, float] = {}
        for name in ("adapter", "probe_mean") if candidate == "lora" else ("adapter",):
            labels = submillion.load(f"{folder}/run", using=name).predict(left_out["text"].tolist())
            accuracies[name] = 100 * float((np.array(labels) == left_out["label"].astype(str)).mean())
    plan = record["plan"]
    return {
        **accuracies,
        **{name: plan[name] for name in ("rank", "trainable_parameters", "saved_parameters")},
        "seconds": round(seconds, 1),
        "training_seconds": round(record["seconds"]["training"], 1),
    }


def summary() -> str:
    """Return each candidate's count, rank, rate and accuracy over seeds at each budget, in Markdown."""
    heads = [f"{budget:,}: trained, rank, rate | accuracy | minus lora" for budget in BUDGETS]
    text = [f"| candidate | {' | '.join(heads)} | training, s |", "|---|" + "---|" * (3 * len(BUDGETS) + 1)]
    probes = [
        line["figures"]["probe_mean"]
        for line in lines(NAME)
        if "probe_mean" in line["figures"] and line["settings"]["seed"] in SEEDS
    ]
    for candidate in CANDIDATES:
        cells: list[str] = []
        seconds: list[float] = []
        for budget in BUDGETS:
            found = _of(candidate, budget)
            if not found:
                same = budget != BUDGETS[0] and trainable(candidate, budget) == trainable(
                    candidate, BUDGETS[0]
                )
                cells += ["the same" if same else "-", "-", "-"]
                continue
            rate, figures = next(iter(found.values()))
            cells.append(f"{figures['trainable_parameters']:,}, {figures['rank'] or '-'}, {rate:g}")
            values = {seed: each["adapter"] for seed, (_, each) in found.items()}
            seconds += [each["training_seconds"] for _, each in found.values()]
            cells.append(_mean_and_spread(list(values.values())))
            lora = {seed: each["adapter"] for seed, (_, each) in _of("lora", budget).items()}
            differences = [values[seed] - lora[seed] for seed in values if seed in lora]
            cells.append(f"{statistics.mean(differences):+.1f}" if differences else "-")
        text.append(
            f"| {candidate} | {' | '.join(cells)} | {statistics.median(seconds):.0f} |"
            if seconds
            else f"| {candidate} | {' | '.join(cells)} | - |"
        )
    if probes:
        text.append(f"\nLinear probe, mean of tokens: {statistics.mean(probes):.1f} on the same rows.")
    return "\n".join(text)


def _of(candidate: str, budget: int) -> dict[int, tuple[float, dict[str, Any]]]:
    """Return what was measured: seed -> learning rate, figures."""
    return {
        line["settings"]["seed"]: (line["settings"]["learning_rate"], line["figures"])
        for line in lines(NAME)
        if line["settings"]["candidate"] == candidate
        and line["settings"]["budget"] == budget
        and line["settings"]["seed"] in SEEDS
    }


def _mean_and_spread(values: list[float]) -> str:
    """Return a mean, its standard deviation over seeds, and how many seeds there are."""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread} ({len(values)})"


if __name__ == "__main__":
    main()
