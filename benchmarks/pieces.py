"""What each speed-up brings: training without it beside training with all of them, in bf16.

    python benchmarks/pieces.py                     all-MiniLM-L6-v2, three rounds, about a quarter of an hour on 2 cores
    python benchmarks/pieces.py --model roberta-base --rounds 1
    python benchmarks/pieces.py --profile           where a step's time goes, operator by operator

Each measurement is one of `speed.py`, in a process of its own; `docs/reference/speed.md` shows the medians.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import speed
from record import append, lines, stands
from submillion.speedups import SPEEDUPS

NAME = "pieces"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=list(speed.MODELS), default="minilm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    if asked.profile:
        print(profile(asked.model))
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


def profile(model: str, n_steps: int = 40) -> str:
    """Return a table of the operators in which the steps of an epoch spend their time, itself slowed by profiling."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    options: Any = argparse.Namespace(
        side="fast", batch_size=16, without="", folder=str(speed.weights(model))
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        profiled(activities=[ProfilerActivity.CPU], record_shapes=True) as found,
    ):
        speed.product(speed.agnews_rows(16 * n_steps), options, Path(folder))
    table: str = found.key_averages(group_by_input_shape=False).table(
        sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=45
    )
    return table


if __name__ == "__main__":
    main()
