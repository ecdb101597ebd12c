"""What each speed-up brings: training without it beside training with all of them, in bf16.

    python benchmarks/pieces.py                     all-MiniLM-L6-v2, three rounds, about a quarter of an hour on 2 cores
    python benchmarks/pieces.py --model roberta-base --rounds 1
    python benchmarks/pieces.py --profile           where a step's time goes, operator by operator

Each measurement is one of `speed.py`, in a process of its own; `docs/reference/speed.md` shows the medians. A profile (of this
process) is kept in `profile.jsonl`: an operator's own milliseconds a step, the profiler's cost in them, beside those that the counted work would take
at the processor's best rate.
"""

import argparse
import statistics
import tempfile
import time
import unittest.mock
from pathlib import Path
from typing import Any

import numpy as np
import torch

import speed
from record import append, lines, stands
from submillion.speedups import SPEEDUPS

NAME = "pieces"
N_OPERATORS = 20
GROUPS = {
    "products with the frozen matrices": ("mkldnn::_linear_pointwise",),
    "LoRA's products": ("aten::mm", "aten::addmm_"),
    "attention": ("aten::bmm", "aten::baddbmm", "aten::_softmax", "aten::_softmax_backward_data"),
    "GELU": ("aten::gelu", "aten::gelu_backward"),
    "dropout, sums, norms and copies": (
        "aten::mul",
        "aten::addcmul_",
        "aten::add",
        "aten::add_",
        "aten::native_layer_norm",
        "aten::native_layer_norm_backward",
        "aten::copy_",
    ),
}
"""What operators are for; the rest of a step is Python, small operators, the optimizer and the profiler."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=list(speed.MODELS), default="minilm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    if asked.profile:
        for number in range(1, asked.rounds + 1):
            key = {"model": asked.model, "round": number, "source": speed.SOURCE}
            if not stands("profile", **key):
                append("profile", profile(asked.model), **key)
        print(profile_table(asked.model))
        return
    for number in range(1, asked.rounds + 1):
        for without in ("", *SPEEDUPS):
            key = {"model": asked.model, "without": without, "round": number, "source": speed.SOURCE}
            if not stands(NAME, **key):
                append(NAME, speed.in_own_process(asked.model, "fast", without=without), **key)
    print(summary(asked.model))


def summary(model: str) -> str:
    """Return, for each piece, how much slower and larger training is without it."""
    shares = shares_of(model)
    return "\n".join(
        f"without {name:15s} {100 * (time - 1):+6.1f} % time a row, {memory:+.2f} GB"
        for name, (time, memory) in shares.items()
    )


def shares_of(model: str) -> dict[str, tuple[float, float]]:
    """Return piece -> (time a row without it over that with it, peak GB without it minus with it), of medians.

    Of the newest version of the code of which as many pieces were measured as of any: a run that was stopped is none yet.
    """
    by_version: dict[str, dict[str, list[dict[str, float]]]] = {}
    for line in lines(NAME):
        settings = line["settings"]
        if settings["model"] == model and settings["without"] in ("", *SPEEDUPS):
            of_version = by_version.setdefault(settings["source"], {})
            of_version.setdefault(settings["without"], []).append(line["figures"])
    newest_first = [measured for measured in reversed(by_version.values()) if "" in measured]
    if not newest_first:
        return {}
    measured = max(newest_first, key=len)

    def median(without: str, figure: str) -> float:
        return statistics.median(figures[figure] for figures in measured[without])

    rate, memory = median("", "rows_per_second"), median("", "peak_gb")
    return {
        name: (rate / median(name, "rows_per_second"), median(name, "peak_gb") - memory)
        for name in SPEEDUPS
        if name in measured
    }


def profile(model: str, n_steps: int = 40) -> dict[str, Any]:
    """Return in which operators the steps after the warm-up spend their time, milliseconds a step."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    n_warm = speed.WARM_UP["fast"]
    options = argparse.Namespace(side="fast", batch_size=16, without="", folder=str(speed.weights(model)))
    rate = speed.best_rate(options)  # beforehand: after a profile of roberta-base half the rate was measured
    found = profiled(activities=[ProfilerActivity.CPU])
    ends: list[float] = []
    plain_step = torch.optim.AdamW.step

    def watched_step(self: Any, *arguments: Any, **named: Any) -> Any:
        result = plain_step(self, *arguments, **named)
        ends.append(time.perf_counter())
        if len(ends) == n_warm:
            found.start()
            ends[-1] = time.perf_counter()
        if len(ends) == n_warm + n_steps:
            found.stop()
        return result

    with (
        tempfile.TemporaryDirectory() as folder,
        unittest.mock.patch.object(torch.optim.AdamW, "step", watched_step),
    ):
        count_work = speed.product(speed.agnews_rows(16 * (n_warm + n_steps)), options, Path(folder))
    operators = {event.key: event.self_cpu_time_total / 1000 / n_steps for event in found.key_averages()}
    largest = sorted(operators.items(), key=lambda pair: -pair[1])[:N_OPERATORS]
    groups = {group: sum(operators.get(name, 0.0) for name in names) for group, names in GROUPS.items()}
    return {
        "milliseconds_per_step": round(1000 * float(np.mean(np.diff(ends[n_warm - 1 :]))), 2),
        "at_the_best_rate": round(count_work(n_warm) / n_steps / rate / 1e6, 2),
        "bf16_rate_gigaflops": round(rate, 1),
        "groups": {name: round(milliseconds, 2) for name, milliseconds in groups.items()},
        "operators": {name: round(milliseconds, 2) for name, milliseconds in largest},
    }


def newest_profile(model: str) -> dict[str, Any]:
    """Return the figures of a model's newest profile, and ``rest``: what of a step is in no group."""
    figures = [line["figures"] for line in lines("profile") if line["settings"]["model"] == model][-1]
    return {**figures, "rest": figures["milliseconds_per_step"] - sum(figures["groups"].values())}


def profile_table(model: str) -> str:
    """Return a model's newest profile as lines of text."""
    found = newest_profile(model)
    return "\n".join(
        [
            f"a step {found['milliseconds_per_step']:.1f} ms, profiled; all its counted work at the best rate "
            f"({found['bf16_rate_gigaflops']:.0f} GFLOP/s) {found['at_the_best_rate']:.1f} ms",
            *(f"{milliseconds:8.2f} ms  {name}" for name, milliseconds in found["groups"].items()),
            f"{found['rest']:8.2f} ms  the rest",
            "the largest operators:",
            *(f"{milliseconds:8.2f} ms  {name}" for name, milliseconds in found["operators"].items()),
        ]
    )


if __name__ == "__main__":
    main()
