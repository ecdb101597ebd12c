"""The cheap alternatives, fitted on the rows the adapter trains on and kept with the run, without a pickle.

- `majority`: the most frequent label.
- `tfidf_svm`: TF-IDF of words and pairs of words (of characters, in scripts without spaces), then a linear support vector machine.
- `probe_mean`, `probe_first`: logistic regression on the frozen encoder's embeddings, mean over the tokens
  or first token.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from submillion.data.words import words_of
from submillion.errors import RunError
from submillion.probe import (
    MAX_ITER,
    Array,
    Linear,
    Probe,
    all_labels,
    class_weight,
    fit_linear,
    seconds_since,
)
from submillion.probe import fit_probe as fit_probe
from submillion.run import read_json, write_json, written_atomically

MIN_DF_2_FROM_ROWS = 20_000
"""From so many rows a term must stand in two of them: a quarter of the terms, the same accuracy (AG News)."""

INDEX = "baselines.json"
"""The file of a folder of baselines that is written last: where it stands, they are whole."""

_TERMS, _WEIGHTS = "tfidf_terms.json", "weights.safetensors"


@dataclass(frozen=True)
class Majority:
    """The most frequent label of the fitted rows, the lowest of several."""

    label: int
    n_labels: int
    fit_seconds: float
    name: str = "majority"

    def scores(self, texts: Sequence[str], embeddings: Mapping[str, Array]) -> Array:
        """Return 1 for the label and 0 for the others, once for each text, `[n, n_labels]`."""
        return np.tile(np.eye(self.n_labels, dtype=np.float32)[self.label], (len(texts), 1))

    def to_json(self) -> dict[str, Any]:
        """Return what is kept beside the weights."""
        return {"fit_seconds": self.fit_seconds, "label": self.label}


@dataclass(frozen=True)
class TfidfSvm:
    """TF-IDF of words and word pairs, sublinear counts, and a linear SVM, one against the rest.

    Attributes:
        terms: The vocabulary, in the order of the weights' columns; empty if no text held a word.
        idf: Inverse document frequency of each term, float32.
        linear: The SVM.
        min_df: Rows a term had to stand in.
        converged: Whether the solver came to its end.
        fit_seconds: Wall time of the fit.
    """

    terms: Sequence[str]
    idf: Array
    linear: Linear
    min_df: int
    converged: bool
    fit_seconds: float
    name: str = "tfidf_svm"

    def scores(self, texts: Sequence[str], embeddings: Mapping[str, Array]) -> Array:
        """Return the distances to the SVM's planes, `[n, n_labels]`."""
        if not self.terms:
            return self.linear.scores(np.zeros((len(texts), 0), dtype=np.float32))
        vectorizer = _vectorizer(self.min_df, {term: column for column, term in enumerate(self.terms)})
        vectorizer.idf_ = self.idf
        return self.linear.scores(vectorizer.transform(texts))

    def to_json(self) -> dict[str, Any]:
        """Return what is kept beside the weights."""
        return {
            "fit_seconds": self.fit_seconds,
            "n_terms": len(self.terms),
            "min_df": self.min_df,
            "converged": self.converged,
        }


@dataclass(frozen=True)
class Shares:
    """Where rows may have several labels: each label's share of the fitted rows, as the logit of a probability.

    Attributes:
        shares: `[n_labels]`, kept half a row away from 0 and 1.
    """

    shares: tuple[float, ...]
    fit_seconds: float
    name: str = "majority"

    def scores(self, texts: Sequence[str], embeddings: Mapping[str, Array]) -> Array:
        """Return the same scores once for each text, `[n, n_labels]`."""
        shares = np.array(self.shares)
        return np.tile(np.log(shares / (1 - shares)).astype(np.float32), (len(texts), 1))

    def to_json(self) -> dict[str, Any]:
        """Return what is kept."""
        return {"fit_seconds": self.fit_seconds, "shares": list(self.shares)}


Baseline = Majority | Shares | TfidfSvm | Probe


@dataclass(frozen=True)
class Baselines:
    """All baselines of one run, by name, in the order they are reported."""

    members: Mapping[str, Baseline]
    n_labels: int
    n_rows: int
    sklearn_version: str = field(default_factory=lambda: version("scikit-learn"))

    def __getitem__(self, name: str) -> Any:
        return self.members[name]

    def scores(self, texts: Sequence[str], embeddings: Mapping[str, Array]) -> dict[str, Array]:
        """Return each baseline's scores for these rows, name -> `[n, n_labels]`, the largest for its label.

        Args:
            texts: The rows' texts.
            embeddings: The same rows' frozen embeddings: ``mean`` and ``first``, `[n, d]` each.
        """
        return {name: member.scores(texts, embeddings) for name, member in self.members.items()}

    def predict(self, texts: Sequence[str], embeddings: Mapping[str, Array]) -> dict[str, Array]:
        """Return each baseline's labels for these rows, name -> `[n]` int64."""
        return {name: scores.argmax(axis=1) for name, scores in self.scores(texts, embeddings).items()}

    def to_json(self) -> dict[str, Any]:
        """Return what was fitted, with what and how long it took, for ``run.json``."""
        return {
            "sklearn_version": self.sklearn_version,
            "n_labels": self.n_labels,
            "n_rows": self.n_rows,
            "members": {name: member.to_json() for name, member in self.members.items()},
        }


def fit_baselines(
    texts: Sequence[str],
    labels: Array,
    n_labels: int,
    embeddings: Mapping[str, Array],
    seed: int,
    weights: Array | None = None,
    probe_mean: Probe | None = None,
) -> Baselines:
    """Fit every baseline on the same rows.

    Args:
        texts: Texts of the `n` rows.
        labels: Their labels `[n]`, of ``range(n_labels)``; some may be missing. Where rows may have several: 0 and 1
            `[n, n_labels]`, and each label is fitted against the rest.
        n_labels: Labels in all.
        embeddings: Frozen embeddings of the rows: ``mean`` and ``first``, `[n, d]` each.
        seed: Seed of the solvers and of the folds.
        weights: How much each label counts, `[n_labels]`; None: all alike.
        probe_mean: What `fit_mean_probe` has made of the same rows already; None: it is fitted here.

    Raises:
        ValueError: If texts, labels and embeddings differ in length, or there are none.
    """
    labels = np.asarray(labels, dtype=np.int64)
    lengths = {len(texts), len(labels), len(embeddings["mean"]), len(embeddings["first"])}
    if len(lengths) != 1 or not len(labels):
        raise ValueError(f"texts, labels and embeddings have {sorted(lengths)} rows: need one length >= 1")
    members: list[Baseline] = [
        fit_majority(labels, n_labels) if labels.ndim == 1 else fit_shares(labels),
        fit_tfidf_svm(texts, labels, n_labels, seed, weights),
        probe_mean or fit_mean_probe(embeddings["mean"], labels, n_labels, seed, weights),
        fit_probe(
            embeddings["first"], labels, n_labels, seed, "standard", name="probe_first", weights=weights
        ),
    ]
    return Baselines({member.name: member for member in members}, n_labels, len(labels))


def fit_mean_probe(
    embeddings: Array, labels: Array, n_labels: int, seed: int, weights: Array | None = None
) -> Probe:
    """Fit the probe on means of tokens, `[n, d]`, each taken to length 1; see `submillion.probe.fit_probe`."""
    return fit_probe(
        embeddings, labels, n_labels, seed, "unit", pooling="mean", name="probe_mean", weights=weights
    )


def fit_majority(labels: Array, n_labels: int) -> Majority:
    """Return the most frequent label, the lowest of several.

    >>> fit_majority(np.array([2, 1, 1, 2]), 3).label
    1
    """
    started = time.perf_counter()
    label = int(np.bincount(labels).argmax())
    return Majority(label, n_labels, seconds_since(started))


def fit_shares(labels: Array) -> Shares:
    """Return the share of rows that have each label, of labels 0 and 1 `[n, n_labels]`.

    >>> fit_shares(np.array([[1, 0], [1, 1], [1, 0], [0, 0]])).shares
    (0.7, 0.3)
    """
    started = time.perf_counter()
    shares = (labels.sum(axis=0) + 0.5) / (len(labels) + 1)
    return Shares(tuple(shares.round(6).tolist()), seconds_since(started))


def fit_tfidf_svm(
    texts: Sequence[str], labels: Array, n_labels: int, seed: int, weights: Array | None = None
) -> TfidfSvm:
    """Fit TF-IDF (words and word pairs, ``1 + log`` of the counts) and a linear SVM with C = 1.

    A word is what `submillion.data.words` says: in scripts without spaces a character.

    Joachims (1998), Text categorization with support vector machines, section 3; scikit-learn's
    ``TfidfVectorizer`` and ``LinearSVC``.
    """
    from sklearn.svm import LinearSVC

    started = time.perf_counter()
    min_df = min_df_of(len(texts))
    vectorizer = _vectorizer(min_df)
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # no text holds a word: what is left is the majority
        empty = np.zeros((n_labels, 0), dtype=np.float32)
        if labels.ndim == 2:
            shares = fit_shares(labels).scores([""], {})[0]
            linear = Linear(empty, shares, np.flatnonzero(labels.any(axis=0)))
        else:
            counts = np.bincount(labels, minlength=n_labels).astype(np.float32)
            linear = Linear(empty, counts, np.unique(labels))
        return TfidfSvm([], np.zeros(0, np.float32), linear, min_df, True, seconds_since(started))
    fitted, weight, bias, converged = fit_linear(
        LinearSVC(max_iter=MAX_ITER, random_state=seed, class_weight=class_weight(weights)), features, labels
    )
    linear = all_labels(weight, bias, fitted, n_labels, missing_bias=0.0)
    terms = [str(term) for term in vectorizer.get_feature_names_out()]
    idf = np.asarray(vectorizer.idf_, dtype=np.float32)
    return TfidfSvm(terms, idf, linear, min_df, converged, seconds_since(started))


def min_df_of(n_rows: int) -> int:
    """Return in how many of so many rows a term of TF-IDF must stand.

    >>> min_df_of(19_999), min_df_of(20_000)
    (1, 2)
    """
    return 2 if n_rows >= MIN_DF_2_FROM_ROWS else 1


def save_baselines(baselines: Baselines, folder: Path) -> None:
    """Write the baselines as JSON and safetensors; the index, which names the others' sha256, comes last."""
    from safetensors.numpy import save_file

    folder = Path(folder)
    tensors: dict[str, Array] = {}
    for name, member in baselines.members.items():
        if isinstance(member, TfidfSvm):
            tensors[f"{name}.idf"] = member.idf
            write_json(folder / _TERMS, list(member.terms))
        if not isinstance(member, Majority | Shares):
            tensors[f"{name}.weight"] = member.linear.weight
            tensors[f"{name}.bias"] = member.linear.bias
            tensors[f"{name}.fitted"] = member.linear.fitted
    with written_atomically(folder / _WEIGHTS) as temporary:
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, temporary)
    sha256 = {file: _sha256(folder / file) for file in (_TERMS, _WEIGHTS)}
    write_json(folder / INDEX, baselines.to_json() | {"sha256": sha256})


def load_baselines(folder: Path) -> Baselines:
    """Read what `save_baselines` wrote; it predicts exactly as what was saved.

    Raises:
        RunError: If a file is missing or damaged.
    """
    from safetensors.numpy import load_file

    folder = Path(folder)
    index = read_json(folder / INDEX)
    try:
        for file, expected in index["sha256"].items():
            if _sha256(folder / file) != expected:
                raise RunError(
                    f"{folder / file} is damaged: its sha256 is not the one in {INDEX}. Copy the run again, "
                    "or train again"
                )
        tensors, terms = load_file(folder / _WEIGHTS), read_json(folder / _TERMS)
        members = {
            name: _member(name, kept, index["n_labels"], terms, tensors)
            for name, kept in index["members"].items()
        }
        return Baselines(members, index["n_labels"], index["n_rows"], index["sklearn_version"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder / INDEX} is damaged: {error!r}. Copy the run again, or train again"
        ) from None


def _member(
    name: str, kept: dict[str, Any], n_labels: int, terms: list[str], tensors: Mapping[str, Array]
) -> Baseline:
    """Rebuild one baseline from its line of the index and the tensors."""
    if "shares" in kept:
        return Shares(tuple(kept["shares"]), kept["fit_seconds"])
    if name == "majority":
        return Majority(kept["label"], n_labels, kept["fit_seconds"])
    linear = Linear(*(tensors[f"{name}.{part}"] for part in ("weight", "bias", "fitted")))
    if name == "tfidf_svm":
        kept = {key: value for key, value in kept.items() if key != "n_terms"}
        return TfidfSvm(terms=terms, idf=tensors[f"{name}.idf"], linear=linear, **kept)
    return Probe(linear=linear, name=name, **kept)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError(
            f"{path} cannot be read: {error.strerror}. Copy the run again, or train again"
        ) from None


def _vectorizer(min_df: int, vocabulary: Mapping[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        tokenizer=words_of,
        token_pattern=None,
        ngram_range=(1, 2),
        sublinear_tf=True,
        min_df=min_df,
        dtype=np.float32,
        vocabulary=vocabulary,
    )
