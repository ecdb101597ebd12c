"""What is foretold of rows without labels, beside what is true: estimated accuracy and the share unlike training.

    python benchmarks/shift.py                      goes on where it stopped; hours on 2 cores, minutes where the models stand in runs/shift
    python benchmarks/shift.py --families typos     a part of it
    python benchmarks/shift.py --summary            the tables, without computing
    python benchmarks/shift.py --example            writes runs/shift/hidden.csv, for `submillion evaluate runs/shift/agnews-3`

Twelve models (four tasks, three seeds; all-MiniLM-L6-v2, 64 tokens, 2 epochs) each score pools of rows: familiar ones and those
of every family of `shift_texts.py`. A cell is 1,000 rows, of which 0 to 100 % are of the family. Methods and constants were
chosen on the families of development; how often the held-out ones were read, and what for, stands in
docs/rows-without-labels.md. A line a cell.
"""

import argparse
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp, softmax
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import shift_texts
import submillion
from record import append, lines, stands
from shift_methods import others, told_apart
from submillion.baselines import load_baselines
from submillion.data.surface import surface
from submillion.evaluation.expected import EXTRAPOLATION, Z, expect
from submillion.evaluation.unlabelled import HELD_BACK, Known, confidence_of
from submillion.evaluation.unlike import columns_of, find_unlike, share_unlike
from submillion.prediction.load import load_adapter
from submillion.reference import Look
from submillion.run import RunFolder

NAME = "shift"
RUNS = Path(__file__).resolve().parents[1] / "runs" / NAME
SEEDS = (1, 2, 3)
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
N_ROWS = 1000
NO_TRUTH = -2
BY_TEXT = slice(0, 6)
"""Columns of `surface` that a text has whatever words are known."""

SETTINGS = ("task", "seed", "family", "share")
FIELDS: dict[str, Any] = {"max_length": 64, "num_train_epochs": 2, "calibration_share": 0.15}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = (*shift_texts.DEVELOPMENT, *shift_texts.HELD_OUT)
    options.add_argument("--families", nargs="+", choices=every, default=every)
    options.add_argument("--summary", action="store_true")
    options.add_argument("--export", action="store_true", help="write the cells for other tools")
    options.add_argument("--example", action="store_true", help="write hidden.csv of the documentation")
    asked = options.parse_args()
    if asked.export:
        export()
        return
    if asked.example:
        scored("agnews", 3)  # trains the model where it is not there yet
        pools = shift_texts.task("agnews", 3).pools
        rows = pd.concat([pools["familiar"][:600], pools["written"][:400]])
        rows.to_csv(RUNS / "hidden.csv", index=False)
        return
    for seed in () if asked.summary else SEEDS:
        for task, families in shift_texts.TASKS.items():
            wanted = [family for family in families if family in asked.families]
            if wanted:
                run(task, seed, wanted)
    print(summary())


def run(task: str, seed: int, families: list[str]) -> None:
    """Do every cell of a model that does not stand there yet."""
    todo = [
        (family, share)
        for family in families
        for share in SHARES
        if not stands(NAME, task=task, seed=seed, family=family, share=share)
        and (share > 0 or family == families[0])  # the cells at 0 % are the same for all families
    ]
    if not todo:
        return
    folder, pools = scored(task, seed)
    for family, share in todo:
        rows, origin = mixed(pools["familiar"], pools[family], share)
        append(NAME, cell(folder, rows, origin), task=task, seed=seed, family=family, share=share)


def export() -> None:
    """Write what other tools need of every cell, for `shift_nannyml.py` and `shift_drift.py`."""
    export_probabilities()
    export_pools()


def export_probabilities() -> None:
    """Write the probabilities of every cell, and the labels of the rows held back."""
    found = {}
    for line in lines(NAME):
        settings = line["settings"]
        folder, pools = scored(settings["task"], settings["seed"])
        record = folder.read_finished()
        held = Known.of(folder).scored
        rows, _ = mixed(pools["familiar"], pools[settings["family"]], settings["share"])
        name = "/".join(str(settings[key]) for key in SETTINGS)
        temperature = record["temperatures"]["adapter"]
        known = np.concatenate([each.scores.logits for each in held])
        found |= {
            f"{name}/known": softmax(known / temperature, axis=1),
            f"{name}/labels": np.concatenate([each.labels for each in held]),
            f"{name}/new": softmax(rows["logits"] / temperature, axis=1),
            f"{name}/truth": rows["labels"],
        }
    np.savez_compressed(RUNS / "cells.npz", **found)


def export_pools() -> None:
    """Write how each model's known rows and pools look and their texts, once, and which rows make a cell.

    Embeddings in half precision, as a run keeps those that it knows: were the new ones finer, a classifier on scaled columns
    would tell the two apart by the rounding.
    """
    found: dict[str, np.ndarray] = {}
    models = dict.fromkeys((line["settings"]["task"], line["settings"]["seed"]) for line in lines(NAME))
    for task, seed in models:
        folder, pools = scored(task, seed)
        rows = shift_texts.task(task, seed)
        looks = {"known": list(Known.of(folder).looks.values())}
        looks |= {name: [pool["look"]] for name, pool in pools.items()}
        for name, parts in looks.items():
            texts = (rows.train if name == "known" else rows.pools[name])["text"].tolist()
            seen, again = np.concatenate([look.surface for look in parts]), surface(texts, ())
            if name == "known":  # kept by split, so in another order
                seen, again = np.sort(seen, axis=0), np.sort(again, axis=0)
            if not np.array_equal(seen[:, BY_TEXT], again[:, BY_TEXT]):
                raise SystemExit(f"{task}, seed {seed}: {name} was scored with other rows")
            found |= {
                f"{task}/{seed}/{name}/frozen": np.concatenate(
                    [look.frozen for look in parts], dtype=np.float16
                ),
                f"{task}/{seed}/{name}/surface": np.concatenate([look.surface for look in parts]),
                f"{task}/{seed}/{name}/texts": _as_bytes(texts),
            }
    for line in lines(NAME):
        task, seed, family, share = (line["settings"][key] for key in SETTINGS)
        sizes = (len(found[f"{task}/{seed}/{name}/frozen"]) for name in ("familiar", family))
        old, new = drawn(*sizes, share)
        name = f"{task}/{seed}/{family}/{share}"
        found |= {f"{name}/familiar": old.astype(np.int16), f"{name}/other": new.astype(np.int16)}
    np.savez_compressed(RUNS / "pools.npz", **found)


def _as_bytes(texts: list[str]) -> np.ndarray:
    """Return texts as the bytes of a JSON list: NumPy would pad each to the longest."""
    return np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8)


def scored(task: str, seed: int) -> tuple[RunFolder, dict[str, dict[str, Any]]]:
    """Return a trained model and its scored pools, both kept in `runs/`."""
    folder = RunFolder(RUNS / f"{task.replace(' ', '-')}-{seed}")
    kept = folder.path.with_suffix(".pkl")  # our own file, made a few lines below
    if kept.is_file():
        return folder, pickle.loads(kept.read_bytes())
    rows = shift_texts.task(task, seed)
    if not folder.exists or folder.read()["status"] != "finished":
        submillion.train(
            rows.train, output=str(folder.path), seed=seed, resume=folder.exists, quiet=True, **FIELDS
        )
    values = folder.read_finished()["data"]["label_values"]
    adapter, baselines = load_adapter(folder.path), load_baselines(folder.baselines)
    pools = {}
    for name, pool in rows.pools.items():
        texts = pool["text"].tolist()
        scores, embeddings = adapter.scores_and_embeddings(texts)
        pools[name] = {
            "logits": scores.logits,
            "embeddings": scores.embeddings,
            "look": Look.of(texts, embeddings, baselines, are_train=False),
            "labels": np.full(len(pool), NO_TRUTH)
            if name in shift_texts.WITHOUT_TRUTH
            else np.array([values.index(label) if label in values else -1 for label in pool["label"]]),
        }
    kept.write_bytes(pickle.dumps(pools))
    return folder, pools


def columns_of_cells(name: str) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray, int]]:
    """Yield each cell that another benchmark has not done: its settings, the columns of known and of new rows, and the run's seed."""
    for line in lines(NAME):
        settings = line["settings"]
        if not stands(name, **settings):
            folder, pools = scored(settings["task"], settings["seed"])
            rows, _ = mixed(pools["familiar"], pools[settings["family"]], settings["share"])
            seed = folder.read_finished()["recipe"]["seed"]
            yield settings, Known.of(folder).columns, columns_of(rows["look"]), seed


def drawn(n_familiar: int, n_other: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows of the familiar pool and of the family's make a cell."""
    rng = np.random.default_rng(0)
    n_new = round(N_ROWS * share)
    return rng.permutation(n_familiar)[: N_ROWS - n_new], rng.permutation(n_other)[:n_new]


def mixed(
    familiar: Mapping[str, Any], other: Mapping[str, Any], share: float
) -> tuple[dict[str, Any], np.ndarray]:
    """Return `N_ROWS` rows, so many of them of the family, and which those are."""
    old, new = drawn(len(familiar["labels"]), len(other["labels"]), share)

    def both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.concatenate([first[old], second[new]])

    looks = familiar["look"], other["look"]
    look = Look(
        both(looks[0].frozen, looks[1].frozen),
        both(looks[0].surface, looks[1].surface),
        {name: both(values, looks[1].scores[name]) for name, values in looks[0].scores.items()},
    )
    rows = {name: both(familiar[name], other[name]) for name in ("logits", "embeddings", "labels")}
    return rows | {"look": look}, np.r_[np.zeros(len(old)), np.ones(len(new))]


def cell(folder: RunFolder, rows: Mapping[str, Any], origin: np.ndarray) -> dict[str, Any]:
    """Return what is foretold of a cell's rows by the product and by the other methods, and what is true."""
    record = folder.read_finished()
    seed = record["recipe"]["seed"]
    known = Known.of(folder)
    columns = columns_of(rows["look"])
    unlike = find_unlike(known.columns, columns, seed)
    sure, right = known.confidence(record), known.right
    new = confidence_of(rows["logits"], record)
    truth = rows["logits"].argmax(axis=1) == rows["labels"]
    is_known = rows["labels"] != NO_TRUTH
    affinity = known.affinity(rows["logits"].argmax(axis=1), rows["look"], unlike)
    expected = expect(sure, right, new, unlike, seed, affinity)
    return {
        "accuracy": float(truth.mean()) if is_known.all() else None,
        "estimate": None if expected.accuracy is None else expected.accuracy.to_json(),
        "refused": expected.refused,
        "if_unlike_are_wrong": expected.if_unlike_are_wrong,
        "affinity": expected.affinity,
        "unlike": unlike.share.to_json() | {"at_least": unlike.at_least, "separation": unlike.separation},
        "origin_auc": _origin_auc(columns, origin) if 0 < origin.mean() < 1 else None,
        "others": others(record, known, rows),
        "other_shares": {
            name: share_unlike(*each, seed).to_json() for name, each in other_scores(known, rows).items()
        },
    }


def _origin_auc(columns: np.ndarray, origin: np.ndarray) -> float:
    """Return how well a classifier that was shown the origin of other rows tells that of a cell's rows, cross-fitted."""
    return float(
        roc_auc_score(np.sort(origin), np.concatenate(told_apart(columns[origin == 0], columns[origin == 1])))
    )


def other_scores(known: Known, rows: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return other scores of how unlike training a row is than ours: of rows held back, and of new ones."""
    train = known.looks["train"].frozen
    frozen = np.concatenate([known.looks[split].frozen for split in HELD_BACK])
    adapted = np.concatenate([each.scores.embeddings for each in known.scored])
    logits = np.concatenate([each.scores.logits for each in known.scored])
    gaussian = LedoitWolf().fit(train)
    nearest = NearestNeighbors(n_neighbors=5).fit(train)
    return {
        "Mahalanobis": (gaussian.mahalanobis(frozen), gaussian.mahalanobis(rows["look"].frozen)),
        "nearest neighbours": (
            nearest.kneighbors(frozen)[0].mean(axis=1),
            nearest.kneighbors(rows["look"].frozen)[0].mean(axis=1),
        ),
        "energy": (-logsumexp(logits, axis=1), -logsumexp(rows["logits"], axis=1)),
        "two-sample classifier on adapted embeddings": told_apart(adapted, rows["embeddings"]),
    }


def summary() -> str:
    """Return the tables in Markdown."""
    cells = [line["settings"] | line["figures"] for line in lines(NAME)]
    held_out, development = shift_texts.HELD_OUT, shift_texts.DEVELOPMENT
    text = []
    for title, families in (("Development", development), ("Held out", held_out)):
        mine = [each for each in cells if each["family"] in families]
        if not mine:
            continue
        text += [
            "",
            f"{title}: {len(mine)} cells",
            "",
            *_by_family(mine),
            "",
            *_by_method(mine),
            "",
            *_by_score(mine),
        ]
    for family in shift_texts.MISSING:
        mine = [cell for cell in cells if cell["family"] == family and cell["share"] > 0]
        if mine:
            off = np.mean([abs(cell["if_unlike_are_wrong"] - cell["accuracy"]) for cell in mine])
            text += [
                "",
                f"If the unlike rows are all wrong, on `{family}`: {100 * off:.1f} points off on average.",
            ]
    return "\n".join(text[1:])


def _by_family(cells: list[dict[str, Any]]) -> Iterator[str]:
    yield "| family | cells | refused | error of the accuracy, mean absolute (bias) | interval width | holds the truth | share unlike, error (largest) | interval width | holds the truth | lower bound holds | origin told apart, AUC |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    families = list(dict.fromkeys(cell["family"] for cell in cells if cell["share"] > 0))
    parts = {
        name: [cell for cell in cells if cell["family"] == name and cell["share"] > 0] for name in families
    }
    parts["(none: 0 %)"] = [cell for cell in cells if cell["share"] == 0]
    parts["all but a missing class"] = [
        cell
        for cell in cells
        if cell["family"] not in (*shift_texts.MISSING, *shift_texts.WITHOUT_TRUTH) or cell["share"] == 0
    ]
    parts["all"] = cells
    for name, part in parts.items():
        if not part:
            continue
        told = [cell for cell in part if cell["estimate"] and cell["accuracy"] is not None]
        errors = np.array([100 * (cell["estimate"]["value"] - cell["accuracy"]) for cell in told])
        widths = [100 * (cell["estimate"]["high"] - cell["estimate"]["low"]) for cell in told]
        holds = [cell["estimate"]["low"] <= cell["accuracy"] <= cell["estimate"]["high"] for cell in told]
        share = _ShareErrors.of([cell["unlike"] for cell in part], part)
        aucs = [cell["origin_auc"] for cell in part if cell["origin_auc"] is not None]
        bounds = [cell["unlike"]["at_least"] <= cell["share"] for cell in part]
        accuracy, width, held = "-", "-", "-"
        if told:
            accuracy = f"{np.abs(errors).mean():.1f} ({errors.mean():+.1f})"
            width, held = f"{np.mean(widths):.1f}", f"{sum(holds)} of {len(told)}"
        yield (
            f"| {name} | {len(part)} | {sum(not cell['estimate'] for cell in part)} | {accuracy} "
            f"| {width} | {held} | {np.abs(share.errors).mean():.1f} ({np.abs(share.errors).max():.1f}) | {share.width:.1f} "
            f"| {share.held} of {len(part)} | {sum(bounds)} of {len(bounds)} "
            f"| {f'{min(aucs):.2f} to {max(aucs):.2f}' if aucs else '-'} |"
        )


@dataclass(frozen=True)
class _ShareErrors:
    """How far shares unlike training were off in some cells: ``errors`` in points, mean ``width``, how many intervals ``held``."""

    errors: np.ndarray
    width: float
    held: int

    @classmethod
    def of(cls, found: list[dict[str, float]], cells: list[dict[str, Any]]) -> "_ShareErrors":
        value, low, high = (np.array([each[end] for each in found]) for end in ("value", "low", "high"))
        truth = np.array([cell["share"] for cell in cells])
        held = (low <= truth) & (truth <= high)
        return cls(100 * (value - truth), float(100 * (high - low).mean()), int(held.sum()))


def _by_score(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the error of the unlike share by ours and the other scores of a row, also where the origin can be told."""
    told = np.array([(cell["origin_auc"] or 0) >= 0.95 for cell in cells])
    yield f"| score of a row | share unlike, mean absolute error | bias | interval width | holds the truth | where the origin is told apart (AUC 0.95 and more, {told.sum()} cells): error (largest) |"
    yield "|---|---|---|---|---|---|"
    scores = {"two-sample classifier (ours)": [cell["unlike"] for cell in cells]}
    scores |= {name: [cell["other_shares"][name] for cell in cells] for name in cells[0]["other_shares"]}
    for name, found in scores.items():
        share = _ShareErrors.of(found, cells)
        off = np.abs(share.errors)
        yield (
            f"| {name} | {off.mean():.1f} | {share.errors.mean():+.1f} | {share.width:.1f} | {share.held} of {len(cells)} "
            f"| {off[told].mean():.1f} ({off[told].max():.1f}) |"
        )


def _by_method(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the error of every method on the cells that the product does not refuse, those of a missing class apart."""
    told = [cell for cell in cells if cell["estimate"] and cell["accuracy"] is not None]
    if not told:
        return
    apart = np.array([cell["family"] in shift_texts.MISSING and cell["share"] > 0 for cell in told])
    yield f"| method | mean absolute error | bias | largest | interval width | holds the truth | on a missing class ({apart.sum()} cells), mean absolute |"
    yield "|---|---|---|---|---|---|---|"
    truth = np.array([cell["accuracy"] for cell in told])
    mine = [cell["estimate"] for cell in told]
    ours = "average thresholded confidence (ours)"
    methods = {ours: tuple(np.array([each[end] for each in mine]) for end in ("value", "low", "high"))}
    methods |= {name: _with_ends(told, name) for name in told[0]["others"]}
    both = zip(methods[ours], methods["agreement with tfidf_svm"], strict=True)
    methods["ours and agreement with tfidf_svm, mean"] = tuple((one + other) / 2 for one, other in both)
    of_nannyml = {tuple(line["settings"].items()): line["figures"] for line in lines("shift_nannyml")}
    theirs = [of_nannyml.get(tuple((key, cell[key]) for key in SETTINGS)) for cell in told]
    if all(theirs):
        methods["nannyml's CBPE"] = tuple(
            np.array([each[end] for each in theirs]) for end in ("estimate", "low", "high")
        )
    for name, (values, low, high) in methods.items():
        errors = 100 * (values - truth)
        rest = errors[~apart]
        of_class = f"{np.abs(errors[apart]).mean():.1f}" if apart.any() else "-"
        holds = ((low <= truth) & (truth <= high))[~apart]
        yield (
            f"| {name} | {np.abs(rest).mean():.2f} | {rest.mean():+.2f} | {np.abs(rest).max():.1f} "
            f"| {100 * (high - low)[~apart].mean():.1f} | {holds.sum()} of {len(rest)} | {of_class} |"
        )


def _with_ends(cells: list[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return another method's estimates and the ends of their intervals, which are made as ours are."""
    values = np.array([cell["others"][name]["value"] for cell in cells])
    errors = np.array([cell["others"][name]["error"] for cell in cells])
    half = np.hypot(Z * errors, EXTRAPOLATION * np.array([cell["unlike"]["value"] for cell in cells]))
    return values, np.maximum(0, values - half), np.minimum(1, values + half)


if __name__ == "__main__":
    main()
