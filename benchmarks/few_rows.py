"""When is an adapter worth it? Few rows a class: adapter, probes, TF-IDF, adapter and TF-IDF, and what `cv: 5` recommends.

    python benchmarks/few_rows.py               some hours on 2 cores; goes on where it stopped
    python benchmarks/few_rows.py --data r8     a part of it (--sizes, --seeds), so that two processes share the machine
    python benchmarks/few_rows.py --summary     the table and docs/figures/few_rows.png, without computing

At most 10, 30 and 100 rows a class of AG News, Reuters R8 and 20 Newsgroups, 300 on the first two; 3 draws each. The
default recipe, texts cut at 128 tokens, measured on the official test split. A draw that has been run again counts
once, by its last version: ``together`` in a line's settings says how that put adapter and TF-IDF together (`VERSIONS`).
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import texts
from once import train_and_test
from record import append, lines, stands
from submillion.alternatives import CHEAPEST_FIRST, TOGETHER

NAME = "few_rows"
FIGURE = Path(__file__).resolve().parents[1] / "docs" / "figures" / "few_rows.png"
SIZES = {"agnews": (10, 30, 100, 300), "r8": (10, 30, 100, 300), "20ng": (10, 30, 100)}
TITLES = {"agnews": "AG News", "r8": "Reuters R8", "20ng": "20 Newsgroups"}
SEEDS = (1, 2, 3)
VERSIONS = (None, True, "mean of two pools")
"""``together`` of a line: not chosen from; each at its own temperature; by `submillion.together.fit_pool_weights`."""

SHOWN = {
    "adapter": "adapter",
    "tfidf_svm": "TF-IDF + SVM",
    "probe_mean": "probe, mean",
    "probe_first": "probe, first",
    TOGETHER: "adapter and TF-IDF",
}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", nargs="+", choices=list(SIZES), default=list(SIZES))
    options.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    options.add_argument("--sizes", nargs="+", type=int, choices=SIZES["agnews"], default=SIZES["agnews"])
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for seed in () if asked.summary else asked.seeds:
        for data in asked.data:
            for size in sorted(set(SIZES[data]) & set(asked.sizes)):
                key = {"data": data, "rows_a_class": size, "seed": seed, "together": VERSIONS[-1]}
                if not stands(NAME, **key):
                    append(NAME, run(data, size, seed), **key)
    print(summary())
    plot()


def run(data: str, size: int, seed: int) -> dict[str, Any]:
    """Train on a draw, recommend by cross-validation on it, measure on test, in points of 100."""
    train, test = texts.read(data)
    record, report = train_and_test(
        train,
        test,
        seed=seed,
        max_rows_per_class=size,
        max_length=128,
        min_rows_to_split=10**9,
        cv=5,
        answer_by=TOGETHER,  # for its test figure; what is recommended does not depend on it
    )
    crossed = record["cross_validation"]
    return {
        "test": {
            "adapter": 100 * report["accuracy"]["value"],
            **{each["name"]: 100 * each["accuracy"]["value"] for each in report["baselines"]},
        },
        "cross_validation": {
            "adapter": 100 * crossed["accuracy"]["value"],
            **{each["name"]: 100 * each["accuracy"]["value"] for each in crossed["baselines"]},
        },
        "recommended": crossed["recommended"]["name"],
        "calibration_error": {
            side: 100 * report["reliability"][side]["expected_calibration_error"]
            for side in ("before", "after")
        },
        "train_rows": record["data"]["splits"]["train"]["n_rows"],
        "epochs": record["recipe"]["training"]["num_train_epochs"],
    }


def _found() -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Return data and rows a class -> its draws, each as it was run last."""
    grouped: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
    for line in sorted(lines(NAME), key=lambda line: VERSIONS.index(line["settings"].get("together"))):
        settings = line["settings"]
        run = line["figures"] | {"together": settings.get("together")}
        grouped.setdefault((settings["data"], settings["rows_a_class"]), {})[settings["seed"]] = run
    return {key: list(draws.values()) for key, draws in grouped.items()}


def _of(runs: list[dict[str, Any]], name: str) -> list[float]:
    """Return what one came to on test in the draws that know it."""
    return [run["test"][name] for run in runs if name in run["test"]]


def _mean(values: list[float], n_runs: int) -> str:
    """Return a cell: the mean, with the number of draws where these are not all."""
    if not values:
        return "-"
    return f"{statistics.mean(values):.1f}" + ("" if len(values) == n_runs else f" (of {len(values)})")


def _gain(run: dict[str, Any]) -> float:
    """Return what was gained on test by what was recommended over what would have been without the two together."""
    others = [name for name in CHEAPEST_FIRST if name != TOGETHER]
    otherwise = max(others, key=lambda name: run["cross_validation"][name])
    return float(run["test"][run["recommended"]] - run["test"][otherwise])


def summary() -> str:
    """Return means over draws, what was recommended, and what that lost to the best, in Markdown."""
    text = [
        f"| data | rows a class (in all) | {' | '.join(SHOWN.values())} | recommended | it loses to the best |",
        "|---|---|" + "---|" * (len(SHOWN) + 2),
    ]
    losses, gains, errors, n_before = [], [], [], 0
    for (data, size), runs in sorted(
        _found().items(), key=lambda item: (list(SIZES).index(item[0][0]), item[0][1])
    ):
        means = [_mean(_of(runs, name), len(runs)) for name in SHOWN]
        lost = [
            max(run["test"].get(name, 0) for name in SHOWN) - run["test"][run["recommended"]] for run in runs
        ]
        losses += lost
        gains += [_gain(run) for run in runs if TOGETHER in run["test"]]
        n_before += sum(run["together"] == VERSIONS[-2] for run in runs)
        errors += [run["calibration_error"] for run in runs if "calibration_error" in run]
        text.append(
            f"| {TITLES[data]} | {size} ({runs[0]['train_rows']:,}) | {' | '.join(means)} "
            f"| {', '.join(run['recommended'] for run in runs)} | {statistics.mean(lost):.1f} |"
        )
    if losses:
        text.append(
            f"\nThe recommendation loses {statistics.mean(losses):.2f} points on average over {len(losses)} draws."
        )
    if gains:
        text.append(
            f"\nThat it may recommend both together gains {statistics.mean(gains):.2f} points on average over {len(gains)} draws, "
            f"{n_before} of them by an earlier version ({', '.join(f'{gain:+.1f}' for gain in gains)})."
        )
    if errors:
        before, after = (statistics.mean(each[side] for each in errors) for side in ("before", "after"))
        text.append(
            f"\nCalibration error of the adapter over {len(errors)} draws: {before:.1f} points; at the temperature of the "
            f"folds {after:.1f}."
        )
    return "\n".join(text)


def plot() -> None:
    """Draw accuracy against rows a class, one panel a data set, a dot a draw."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = _found()
    figure, axes = pyplot.subplots(1, len(SIZES), figsize=(11, 3.6), layout="constrained")
    for axis, (data, sizes) in zip(axes, SIZES.items(), strict=True):
        for name, label in SHOWN.items():
            measured = [size for size in sizes if (data, size) in found and _of(found[data, size], name)]
            draws = [_of(found[data, size], name) for size in measured]
            (line,) = axis.plot(measured, [statistics.mean(each) for each in draws], label=label)
            for size, each in zip(measured, draws, strict=True):
                axis.plot([size] * len(each), each, ".", color=line.get_color(), alpha=0.5)
        axis.set(title=TITLES[data], xscale="log", xlabel="rows a class, at most")
        axis.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("test accuracy, %")
    axes[-1].legend(loc="lower right", fontsize="small")
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=150)


if __name__ == "__main__":
    main()
