"""Rows of a known origin and rows that are not: the families of shift, divided before anything was tried.

Development: `topic`, `typos`, `topic and typos`, `class`. Held out: `source`, `scan`, `written`, `cut`, `superclass`, `tweets`. All rows
have true labels in the model's label set, save `class` and `superclass`, whose rows count as wrong: the model cannot say their
label. `tweets` of an election have no label that is one of AG News's or is not: they serve the share unlike training alone. `class` was held out at first; every estimate failed on it, it went over to development, and `superclass` took its place.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

import texts
from submillion.data.noise import misread, truncated, typos
from submillion.data.stratified import stratified_order

POOL = 1_050
"""Rows of each pool; a cell draws 1,000."""

N_TRAIN = 3_000
DEVELOPMENT = ("topic", "typos", "topic and typos", "class")
HELD_OUT = ("source", "scan", "written", "cut", "superclass", "tweets")
MISSING = ("class", "superclass")
"""Families of rows whose label the model lacks."""

WITHOUT_TRUTH = ("tweets",)
"""Families whose rows have no true label, not even a missing one."""

TASKS = {
    "agnews": ("typos", "source", "scan", "written", "cut", "tweets"),
    "agnews without a class": ("class",),
    "20ng": ("topic", "topic and typos"),
    "20ng without a superclass": ("superclass",),
}
WORLD, SPORTS, BUSINESS, SCIENCE = range(4)

SUPERCLASSES = {
    "comp": ("graphics", "os.ms-windows.misc", "sys.ibm.pc.hardware", "sys.mac.hardware", "windows.x"),
    "rec": ("autos", "motorcycles", "sport.baseball", "sport.hockey"),
    "sci": ("crypt", "electronics", "med", "space"),
    "talk": ("politics.guns", "politics.mideast", "politics.misc", "religion.misc"),
}
"""Superclasses of 20 Newsgroups; half of each one's groups, turned by the seed, is never seen in training."""

ON_AGNEWS = {
    "rec.sport.baseball": SPORTS,
    "rec.sport.hockey": SPORTS,
    "sci.space": SCIENCE,
    "sci.electronics": SCIENCE,
    "comp.sys.mac.hardware": SCIENCE,
    "comp.os.ms-windows.misc": SCIENCE,
    "talk.politics.mideast": WORLD,
    "earn": BUSINESS,
    "acq": BUSINESS,
    "money-fx": BUSINESS,
    "interest": BUSINESS,
    "trade": BUSINESS,
}
"""Topics of 20 Newsgroups and Reuters that are plainly one of AG News's; the others are left out."""


@dataclass(frozen=True)
class Task:
    """A model's rows: ``train``, and pools of ``familiar`` rows and of each family's, columns text and label.

    A label of -1 is one that the model does not have.
    """

    train: pd.DataFrame
    pools: dict[str, pd.DataFrame]


def task(name: str, seed: int) -> Task:
    """Return the rows of one of `TASKS`; which rows train, and what is unseen, turns with the seed."""
    makers = {
        "agnews": _agnews,
        "agnews without a class": _agnews_without,
        "20ng": _newsgroups,
        "20ng without a superclass": _newsgroups_without,
    }
    return makers[name](seed)


def agnews_anew(seed: int) -> Task:
    """Return AG News' held-out families of rows that no other pool has held, for a second reading.

    Familiar rows, scanned and cut ones are train rows that were not trained on; those of other sources are none that seeds 1 to 3
    draw. What a program wrote is written anew.
    """
    train, _ = texts.read("agnews")
    kept, rest = _first(train, N_TRAIN, seed)
    familiar, _, scanned, cut = _parts(rest, seed, first=4)
    pools = {
        "familiar": familiar,
        "source": _other_sources(
            seed, without=pd.concat(_other_sources(other) for other in (1, 2, 3))["text"]
        ),
        "scan": scanned.assign(text=misread(scanned["text"], 0.08, seed)),
        "written": _written(rest, seed),
        "cut": cut.assign(text=truncated(cut["text"], 6)),
    }
    return Task(kept, {name: pool.reset_index(drop=True) for name, pool in pools.items()})


def _parts(rows: pd.DataFrame, seed: int, first: int) -> list[pd.DataFrame]:
    """Return four parts of `POOL` rows each, after so many such parts."""
    drawn = rows[["text", "label"]].sample(8 * POOL, random_state=seed)
    return [drawn.iloc[POOL * part : POOL * (part + 1)] for part in range(first, first + 4)]


def unlabelled(name: str, seed: int, families: Iterable[str]) -> list[str]:
    """Return up to `POOL` texts of each family, `familiar` among them, that no pool of the task holds; for self-training.

    What a program wrote is written anew, by the same templates and chains.
    """
    makers = {"agnews": _more_agnews, "20ng": _more_newsgroups}
    more = makers[name](seed)
    return [text for family in families for text in more[family]()]


def _more_agnews(seed: int) -> dict[str, Callable[[], Sequence[str]]]:
    train, _ = texts.read("agnews")
    _, rest = _first(train, N_TRAIN, seed)
    familiar, typed, scanned, cut = (part["text"].tolist() for part in _parts(rest, seed, first=0))
    return {
        "familiar": lambda: familiar,
        "typos": lambda: typos(typed, 0.08, seed + 1),
        "source": lambda: _other_sources(seed, skipped=POOL // 4)["text"].tolist(),
        "scan": lambda: misread(scanned, 0.08, seed + 1),
        "written": lambda: _written(rest, seed + 1_000)["text"].tolist(),
        "cut": lambda: truncated(cut, 6),
    }


def _more_newsgroups(seed: int) -> dict[str, Callable[[], Sequence[str]]]:
    _, familiar, other = _parted_newsgroups(seed)
    return {
        "familiar": lambda: familiar["text"].iloc[2 * POOL : 3 * POOL].tolist(),
        "topic": lambda: other["text"].iloc[POOL : 2 * POOL].tolist(),
    }


def _agnews(seed: int) -> Task:
    train, test = texts.read("agnews")
    kept, rest = _first(train, N_TRAIN, seed)
    familiar, typed, scanned, cut = (
        test.sample(frac=1, random_state=seed).iloc[POOL * part : POOL * (part + 1)] for part in range(4)
    )
    pools = {
        "familiar": familiar,
        "typos": typed.assign(text=typos(typed["text"], 0.08, seed)),
        "source": _other_sources(seed),
        "scan": scanned.assign(text=misread(scanned["text"], 0.08, seed)),
        "written": _written(rest, seed),
        "cut": cut.assign(text=truncated(cut["text"], 6)),
        "tweets": texts.tweets().sample(POOL, random_state=seed).assign(label=-1),
    }
    return Task(kept, {name: pool.reset_index(drop=True) for name, pool in pools.items()})


def _agnews_without(seed: int) -> Task:
    """Leave out one class: Sports, Business or World, by the seed."""
    missing = (SPORTS, BUSINESS, WORLD)[seed % 3]
    train, test = texts.read("agnews")
    kept, _ = _first(train[train["label"] != missing], N_TRAIN * 3 // 4, seed)
    known, unknown = test[test["label"] != missing], test[test["label"] == missing]
    pools = {
        "familiar": known.sample(POOL, random_state=seed),
        "class": unknown.sample(POOL, random_state=seed).assign(label=-1),
    }
    return Task(kept, {name: pool.reset_index(drop=True) for name, pool in pools.items()})


def _newsgroups(seed: int) -> Task:
    kept, familiar, other = _parted_newsgroups(seed)
    typed = familiar.iloc[POOL : POOL + POOL // 2]
    pools = {
        "familiar": familiar.iloc[:POOL],
        "topic": other.iloc[:POOL],
        "topic and typos": pd.concat(
            [other.iloc[: POOL - len(typed)], typed.assign(text=typos(typed["text"], 0.08, seed))]
        ),
    }
    return Task(kept, {name: pool.reset_index(drop=True) for name, pool in pools.items()})


def _parted_newsgroups(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return train rows, the others of their groups, and the rows of the unseen half of the groups."""
    both = _shuffled_newsgroups(seed)
    seen: dict[str, str] = {}
    unseen: dict[str, str] = {}
    for superclass, groups in SUPERCLASSES.items():
        turned = [groups[(seed + place) % len(groups)] for place in range(len(groups))]
        for place, group in enumerate(turned):
            (seen if place % 2 == 0 else unseen)[f"{superclass}.{group}"] = superclass
    kept, familiar = _first(both.assign(label=both["label"].map(seen)).dropna(), N_TRAIN * 2 // 3, seed)
    return kept, familiar, both.assign(label=both["label"].map(unseen)).dropna()


def _newsgroups_without(seed: int) -> Task:
    """Leave out one superclass: comp, rec or sci, by the seed."""
    missing = tuple(SUPERCLASSES)[seed % 3]
    both = _shuffled_newsgroups(seed)
    names = {
        f"{superclass}.{group}": superclass for superclass, groups in SUPERCLASSES.items() for group in groups
    }
    both = both.assign(label=both["label"].map(names)).dropna()
    kept, familiar = _first(both[both["label"] != missing], N_TRAIN * 2 // 3, seed)
    pools = {
        "familiar": familiar.iloc[:POOL],
        "superclass": both[both["label"] == missing].iloc[:POOL].assign(label=-1),
    }
    return Task(kept, {name: pool.reset_index(drop=True) for name, pool in pools.items()})


def _shuffled_newsgroups(seed: int) -> pd.DataFrame:
    """Return both halves together: the official split is by date, a shift of its own."""
    return pd.concat(texts.read("20ng")).sample(frac=1, random_state=seed)


def _first(rows: pd.DataFrame, n_rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return so many rows, every label in its share, and the rest."""
    order = stratified_order(pd.factorize(rows["label"], sort=True)[0], seed=seed)
    kept, rest = rows.iloc[order[:n_rows]], rows.iloc[order[n_rows:]]
    return kept.reset_index(drop=True), rest.reset_index(drop=True)


def _other_sources(seed: int, skipped: int = 0, without: Iterable[str] = ()) -> pd.DataFrame:
    """Return rows of 20 Newsgroups and Reuters with AG News's labels, every label alike, after so many of each label.

    Args:
        seed: Draws them.
        skipped: Of each label.
        without: Texts that are left out.
    """
    both = pd.concat([part for name in ("20ng", "r52") for part in texts.read(name)])
    both = both.assign(label=both["label"].map(ON_AGNEWS)).dropna().astype({"label": int})
    both = both[~both["text"].isin(list(without))]
    shuffled = (rows.sample(frac=1, random_state=seed) for _, rows in both.groupby("label"))
    each = [rows.iloc[skipped : skipped + POOL // 4] for rows in shuffled]
    return pd.concat(each).sample(frac=1, random_state=seed)


def _written(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return rows that no one wrote: half by a word chain of order 2 for each label, half by templates."""
    rng = np.random.default_rng(seed)
    made = []
    for label, of_label in rows.groupby("label"):
        chain = _Chain(of_label["text"].tolist())
        for place in range(POOL // 4):
            text = chain.write(rng) if place % 2 else _from_template(int(label), rng)
            made.append({"text": text, "label": int(label)})
    return pd.DataFrame(made).sample(frac=1, random_state=seed)


class _Chain:
    """A language model of words given the two before."""

    def __init__(self, rows: list[str]) -> None:
        self._next: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in rows:
            words = ["", "", *row.split(), ""]
            for first, second, third in zip(words, words[1:], words[2:], strict=False):
                self._next[first, second].append(third)

    def write(self, rng: np.random.Generator) -> str:
        words = ["", ""]
        while len(words) < 50:
            choices = self._next[words[-2], words[-1]]
            word = choices[rng.integers(len(choices))]
            if not word and len(words) > 2:
                break
            words.append(word)
        return " ".join(words[2:])


TEMPLATES = {
    WORLD: (
        "Tensions rise as {leader} of {country} rejects the {body} plan. Talks in {city} ended without a deal, and {people} took to the streets.",
        "{country}: at least {n} people were killed in {city}, officials said. The {body} called for calm ahead of the vote.",
        "In a statement, {leader} said {country} would not accept the ceasefire proposed by the {body}.",
    ),
    SPORTS: (
        "{team} beat {rival} {n}-{m} in a thrilling final. Coach {person} praised the defence after the match in {city}.",
        "Star striker {person} will miss {n} games for {team} with a knee injury, the club confirmed before the trip to {city}.",
        "{person} scored twice as {team} came from behind against {rival} to stay at the top of the league.",
    ),
    BUSINESS: (
        "{company} reported quarterly revenue of ${n} billion, up {m} percent, beating analysts' expectations. Shares rose in late trading.",
        "{company} agreed to acquire {rival_company} for ${n} billion in cash, the two firms announced. The deal awaits approval by regulators.",
        "The central bank of {country} raised interest rates by {m} basis points as inflation stayed above target, lifting the currency.",
    ),
    SCIENCE: (
        "{company} unveiled a new {device} powered by artificial intelligence. The chip is {n} times faster than last year's model.",
        "Researchers in {city} have found a way to make a {device} learn from {n} billion samples, a study published on Tuesday says.",
        "A security flaw in {software} lets attackers take over a {device}; {company} urged users to install version {m}.",
    ),
}  # fmt: skip
WORDS = {
    "leader": ("President Tokayev", "Prime Minister Sunak", "President Lula", "Chancellor Scholz", "President Zelensky", "the interim premier"),
    "country": ("Kazakhstan", "Peru", "Sudan", "Moldova", "Myanmar", "Lebanon", "Ethiopia", "Norway"),
    "body": ("UN", "European Union", "African Union", "G20", "security council"),
    "city": ("Astana", "Lima", "Khartoum", "Oslo", "Nairobi", "Geneva", "Toronto", "Osaka"),
    "people": ("thousands of students", "opposition supporters", "striking workers", "veterans"),
    "team": ("Brighton", "Girona", "the Denver Nuggets", "the Vegas Golden Knights", "Union Berlin", "the Savannah Bananas"),
    "rival": ("Leipzig", "Atalanta", "the Miami Heat", "the Florida Panthers", "Inter Miami", "Wrexham"),
    "person": ("Bukayo Saka", "Nikola Jokic", "Iga Swiatek", "Caitlin Clark", "Jude Bellingham", "Connor Bedard"),
    "company": ("Nvidia", "Shein", "Stripe", "Rivian", "Spotify", "Palantir", "Airbnb"),
    "rival_company": ("Figma", "Slack", "Getir", "Deliveroo", "Lucid", "Arm"),
    "device": ("smartphone", "headset", "drone", "laptop", "humanoid robot", "smart watch"),
    "software": ("TikTok", "Zoom", "ChatGPT", "Android", "Kubernetes", "WordPress"),
}  # fmt: skip


def _from_template(label: int, rng: np.random.Generator) -> str:
    choices = TEMPLATES[label]
    words = {name: values[rng.integers(len(values))] for name, values in WORDS.items()}
    return choices[rng.integers(len(choices))].format(**words, n=rng.integers(2, 90), m=rng.integers(1, 30))
