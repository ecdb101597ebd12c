"""A study as one page to look at, made from its `study.json` alone."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from submillion.errors import RunError
from submillion.page.charts import SERIES
from submillion.page.render import write_page
from submillion.recipe import checked_recipe
from submillion.study import charts
from submillion.study.charts import Curve, Point
from submillion.study.recipe import SearchRecipe
from submillion.study.repeat import candidate_recipe, for_epochs, is_in_memory, repeat_command

if TYPE_CHECKING:
    from submillion.study.folder import StudyFolder

_MAX_LABELS = 20
"""Up to so many labels are named."""


def write_report(folder: "StudyFolder") -> Path:
    """Write a finished study's `report.html`: one file, without scripts, that loads nothing.

    Args:
        folder: The study; only its `study.json` is read.

    Raises:
        RunError: If there is no recommendation to report yet.
    """
    record = folder.read()
    if "recommendation" not in record or "trainings" not in record:
        raise RunError(
            f"{folder.path} has no recommendation yet: go on with it by: submillion search --resume"
        )
    return write_page(folder.report, "study/report.html.j2", study=_Study(record), name=folder.path.name)


@dataclass(frozen=True)
class _Study:
    """What the page shows of a `study.json`; the template asks for it by name."""

    record: Mapping[str, Any]

    @cached_property
    def recipe(self) -> SearchRecipe:
        """The study's recipe."""
        return checked_recipe(self.record["recipe"], "study.json", SearchRecipe)

    @property
    def recommendation(self) -> Mapping[str, Any]:
        """What is recommended, and why."""
        return dict(self.record["recommendation"])

    @property
    def n_stages(self) -> int:
        """How many short stages there are."""
        return len(self.record["stages"])

    @cached_property
    def trainings(self) -> list[dict[str, Any]]:
        """The short trainings that took place, stage by stage."""
        return [
            training
            for training in self.record["trainings"]
            if training["stage"] <= self.n_stages and "candidate" in training
        ]

    @cached_property
    def by_candidate(self) -> dict[int, dict[int, list[dict[str, Any]]]]:
        """The trainings by candidate, then by stage."""
        found: dict[int, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        for training in self.trainings:
            found[training["candidate"]][training["stage"]].append(training)
        return found

    @property
    def recommended(self) -> Mapping[str, Any]:
        """The recommended candidate's line in the ranking."""
        number = self.recommendation["number"]
        return next(line for line in self.recommendation["ranking"] if line["number"] == number)

    @property
    def held_back(self) -> str:
        """The rows that judge the last stage: how many, and which."""
        judged = next(
            each["judged_rows"]
            for each in self.trainings
            if each["stage"] == self.n_stages and each["accuracy"] is not None
        )
        n_validation = self.record["data"]["splits"]["validation"]["n_rows"]
        if judged == n_validation:
            return f"{judged:,} validation rows"
        return f"{n_validation:,} validation rows and {judged - n_validation:,} train rows that the last stage leaves out"

    @property
    def n_refused(self) -> int:
        """How many candidates were never started."""
        return sum(bool(candidate["refused"]) for candidate in self.record["candidates"])

    @property
    def head(self) -> list[tuple[str, str]]:
        """What was searched: a name and what stands beside it."""
        data, recipe = self.record["data"], self.recipe
        rows = ", ".join(
            f"{split['n_rows']:,} {'to train on' if name == 'train' else f'for {name}'}"
            for name, split in data["splits"].items()
        )
        labels = data["label_names"]
        more = f" and {len(labels) - _MAX_LABELS:,} more" if len(labels) > _MAX_LABELS else ""
        n_candidates = len(self.record["candidates"])
        refused = f", of which {self.n_refused:,} never started" if self.n_refused else ""
        sources = [f"{name}: {source}" for name, source in data["sources"].items() if source is not None]
        seeds = f"{recipe.search.repeats} in the last stage, from {recipe.seed}"
        return [
            ("data", "; ".join(sources)),
            ("rows", rows),
            ("labels", f"{len(labels):,}: {', '.join(map(str, labels[:_MAX_LABELS]))}{more}"),
            ("encoder", str(recipe.model.model)),
            ("budget", f"{recipe.budget.budget:,} trainable parameters"),
            ("candidates", f"{n_candidates:,}{refused}"),
            ("varied", "; ".join(f"{field}: {_choices(values)}" for field, values in self.record["recipe"]["space"].items())),
            ("seeds", seeds if recipe.search.repeats > 1 else str(recipe.seed)),
            ("begun", str(self.record["created"])[:16].replace("T", " ") + " UTC"),
        ]  # fmt: skip

    @property
    def notes(self) -> list[str]:
        """What was noted about the rows and the candidates."""
        return [str(note) for note in (*self.record["data"].get("notes", ()), *self.record.get("notes", ()))]

    @cached_property
    def colours(self) -> dict[int, str]:
        """The candidates that stand out: the recommended one, the best, and the next in the ranking."""
        ranked = [line["number"] for line in self.recommendation["ranking"]]
        order = dict.fromkeys([self.recommendation["number"], self.recommendation["best"], *ranked])
        return dict(zip(order, SERIES, strict=False))

    @property
    def marked(self) -> dict[int, str]:
        """The recommended candidate and the best, and what charts call them."""
        number, best = self.recommendation["number"], self.recommendation["best"]
        if number == best:
            return {number: f"{number}, recommended and the best"}
        return {number: f"{number}, recommended", best: f"{best}, the best"}

    @property
    def legend(self) -> list[tuple[int, int, str]]:
        """Of each colour: its place, the candidate's number and its name."""
        names = {candidate["number"]: candidate["name"] for candidate in self.record["candidates"]}
        return [(place, number, names[number]) for place, number in enumerate(self.colours)]

    @property
    def forest(self) -> list[Markup]:
        """The ranking as charts."""
        ranking = self.recommendation["ranking"]
        marked = {number: self.colours[number] for number in self.marked}
        drawn = [charts.plot_intervals(ranking, marked)]
        if len(ranking) > 1:
            drawn.append(charts.plot_differences(ranking, self.recipe.evaluation.margin / 100, marked))
        return [Markup(svg) for svg in drawn]

    @property
    def curves(self) -> list[tuple[str, Markup]]:
        """A chart a stage, with its title; a stage in which nothing was evaluated has none."""
        found = []
        for stage in range(1, self.n_stages + 1):
            curves = [
                Curve(
                    training["candidate"],
                    [line["epoch"] for line in training["curve"]],
                    [line["accuracy"] for line in training["curve"]],
                )
                for training in self.trainings
                if training["stage"] == stage and training.get("curve")
            ]
            if curves:
                svg = charts.plot_curves(curves, self.colours, f"curves-{stage}")
                found.append((f"Stage {stage}: {self._told(stage)}", Markup(svg)))
        return found

    @property
    def clouds(self) -> list[Markup]:
        """Accuracy against trainable parameters, and against seconds."""
        marked = {number: self.colours[number] for number in self.marked}
        drawn = []
        for axis, name in (("trainable parameters", "size"), ("seconds of a training", "time")):
            last, earlier = list[Point](), list[Point]()
            for number, stages in self.by_candidate.items():
                for stage, trainings in stages.items():
                    accuracy = _mean(training["accuracy"] for training in trainings)
                    cost = _mean(
                        training["trainable_parameters"] if name == "size" else training["seconds"]["total"]
                        for training in trainings
                    )
                    if accuracy is not None and cost is not None:
                        points = last if stage == self.n_stages else earlier
                        points.append(Point(number, cost, accuracy))
            drawn.append(charts.plot_points(last, earlier, self.marked, marked, axis, name))
        return [Markup(svg) for svg in drawn]

    @property
    def stage_costs(self) -> list[dict[str, Any]]:
        """What each stage cost."""
        rows = []
        for number, stage in enumerate(self.record["stages"], start=1):
            trainings = [training for training in self.trainings if training["stage"] == number]
            rows.append(
                {
                    "stage": number,
                    "candidates": len({training["candidate"] for training in trainings}),
                    "trainings": len(trainings),
                    "share": stage["share"],
                    "epochs_each": _spanned(training["epochs"] for training in trainings),
                    "rows_seen": sum(training["rows_seen"] for training in trainings),
                    "total": sum(training["seconds"]["total"] for training in trainings),
                    "training": sum(training["seconds"]["training"] for training in trainings),
                }
            )
        return rows

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """All of them: what each is, how far it came, and what became of it."""
        ranking = {line["number"]: line for line in self.recommendation["ranking"]}
        rows = []
        for candidate in self.record["candidates"]:
            stages = self.by_candidate.get(candidate["number"], {})
            reached = max(stages, default=0)
            trainings = stages[reached] if reached else []
            failures = dict.fromkeys(training["failed"] for training in trainings if "failed" in training)
            if candidate["refused"]:
                fate = f"never started: {candidate['refused']}"
            elif candidate["number"] in self.marked:
                fate = self.marked[candidate["number"]].partition(", ")[2]
            elif candidate["number"] in ranking:
                fate = ranking[candidate["number"]]["verdict"]
            elif failures:
                fate = ""
            else:
                fate = f"not kept after stage {reached}" if reached else "never reached"
            if failures:
                fate += f"{'; ' if fate else ''}stage {reached} failed: {'; '.join(failures)}"
            rows.append(
                candidate
                | {
                    "reached": reached,
                    "accuracy": _mean(training["accuracy"] for training in trainings),
                    "fate": fate,
                    "is_recommended": candidate["number"] == self.recommendation["number"],
                }
            )
        return rows

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The command that repeats each candidate's last training, and what it does not repeat."""
        base, rows = self.recipe.base, []
        sources = self.record["data"]["sources"]
        for candidate in self.record["candidates"]:
            number = candidate["number"]
            if number not in self.by_candidate:
                continue
            stage = max(self.by_candidate[number])
            epochs = self.by_candidate[number][stage][0]["epochs"]
            recipe = candidate_recipe(base, candidate)
            short = for_epochs(recipe, epochs, None)
            entry = {
                "number": number,
                "name": candidate["name"],
                "stage": stage,
                "told": f"stage {stage}, {self._told(stage, epochs)}",
                "has_share": self.record["stages"][stage - 1]["share"] < 1,
                "command": repeat_command(short, sources, f"runs/candidate-{number}"),
                "in_full": "",
            }
            if number == self.recommendation["number"]:
                final = self.recipe.in_full(recipe, candidate["varied"]).training
                whole = for_epochs(recipe, final.num_train_epochs, final.early_stopping_patience)
                entry["in_full"] = repeat_command(whole, sources, f"runs/candidate-{number}-in-full")
            rows.append(entry)
        return rows

    @property
    def in_memory(self) -> list[str]:
        """The sources that a command cannot name, for a program held their rows."""
        sources = self.record["data"]["sources"]
        return [name for name, source in sources.items() if source and is_in_memory(source)]

    def _told(self, number: int, epochs: float | None = None) -> str:
        """Return what a stage trains for, in words."""
        stage = self.record["stages"][number - 1]
        epochs = epochs or stage["num_train_epochs"]
        passes = "their own epochs" if epochs is None else f"{epochs:g} epoch{'s' if epochs != 1 else ''}"
        rows = "all rows" if stage["share"] == 1 else f"{100 * stage['share']:g} % of the rows"
        return f"{passes} on {rows}"


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of those that are there.

    >>> _mean([0.5, None, 1.0]), _mean([None])
    (0.75, None)
    """
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def _spanned(values: Iterable[float]) -> str:
    """Return the smallest and the largest of some numbers.

    >>> _spanned([3.0, 3.0]), _spanned([6.0, 3.0]), _spanned([])
    ('3', '3 to 6', '')
    """
    found = sorted(set(values))
    return " to ".join(f"{value:g}" for value in dict.fromkeys([*found[:1], *found[-1:]]))


def _choices(values: Sequence[Any] | Mapping[str, Any]) -> str:
    """Return what a field of the space may be.

    >>> _choices([1, "fill", ["query", "dense"]]), _choices({"low": 1e-4, "high": 0.01, "log": True})
    ('1, fill, query+dense', '0.0001 to 0.01, evenly by the logarithm')
    """
    if isinstance(values, Mapping):
        return (
            f"{values['low']:g} to {values['high']:g}{', evenly by the logarithm' if values['log'] else ''}"
        )
    return ", ".join(
        "+".join(map(str, value))
        if isinstance(value, list | tuple)
        else value
        if isinstance(value, str)
        else json.dumps(value)
        for value in values
    )
