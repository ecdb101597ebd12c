"""What answers: the adapter, one of the baselines that were fitted beside it, or two of these together."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from submillion.alternatives import TOGETHER
from submillion.baselines import Baseline
from submillion.closeness import close_rows
from submillion.data.tokens import tokenize
from submillion.data.windows import taken
from submillion.model.saved import SavedClassifier
from submillion.scoring import Scores, embed_frozen, score
from submillion.together import pooled


class Answering(Protocol):
    """Scores texts.

    Attributes:
        name: ``adapter``, the baseline's, or `TOGETHER`.
    """

    name: str

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return logits and pooled embeddings of texts, in their order; at least one text."""
        ...

    def load_all(self) -> None:
        """Load now what would be loaded when it is needed: the run folder may go afterwards."""
        ...


class Adapter:
    """The adapter on its encoder.

    Args:
        saved: What scores.
        batch_size: Most rows a batch.
        load_exact: Loads the same classifier in fp32, to score rows whose label bf16 could turn; None where
            ``saved`` is in fp32 itself.
        shift: How far bf16 moves the difference of two logits; see `submillion.closeness`.
        threshold: Where rows may have several labels: the sigmoid from which on a label is given; else None.
    """

    name = "adapter"

    def __init__(
        self,
        saved: SavedClassifier,
        batch_size: int,
        load_exact: Callable[[], SavedClassifier] | None = None,
        shift: float = 0.0,
        threshold: float | None = None,
    ):
        self.saved = saved
        self.batch_size = batch_size
        self._load_exact = load_exact
        self._shift = shift
        self._threshold = threshold

    @cached_property
    def _exact(self) -> SavedClassifier | None:
        return self._load_exact() if self._load_exact is not None else None

    def load_all(self) -> None:
        """Load the classifier in fp32 too."""
        _ = self._exact

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return logits and pooled embeddings of texts; close rows are scored again in fp32."""
        return self._scores(self._token_rows(texts))

    def scores_and_embeddings(self, texts: Sequence[str]) -> tuple[Scores, dict[str, np.ndarray]]:
        """Return scores, and the frozen encoder's embeddings ``mean`` and ``first``, `[n, width]`, of texts."""
        input_ids = self._token_rows(texts)
        return self._scores(input_ids), embed_frozen(self.saved.model, input_ids, self.batch_size)

    def frozen_embeddings(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the frozen encoder's embeddings ``mean`` and ``first``, `[n, width]`, of texts."""
        return embed_frozen(self.saved.model, self._token_rows(texts), self.batch_size)

    def _token_rows(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return tokenize(self.saved.tokenizer, texts, self.saved.max_length, self.saved.stride).input_ids

    def _scores(self, input_ids: Sequence[Sequence[int]]) -> Scores:
        scores = score(self.saved.model, input_ids, self.batch_size)
        if self._load_exact is None:
            return scores
        close = close_rows(scores.logits, self._shift, self._threshold)
        if len(close) and self._exact is not None:
            again = score(self._exact.model, taken(input_ids, close), self.batch_size)
            scores.logits[close], scores.embeddings[close] = again.logits, again.embeddings
        return scores


class OfBaseline:
    """A baseline; its scores stand for logits.

    Args:
        baseline: What scores.
        adapter: Whose frozen encoder embeds the texts; None for a baseline that reads the texts alone.
    """

    def __init__(self, baseline: Baseline, adapter: Adapter | None):
        self.name = baseline.name
        self._baseline = baseline
        self._adapter = adapter

    def load_all(self) -> None:
        """There is nothing more to load."""

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return scores of texts, and embeddings without a column."""
        embeddings = {} if self._adapter is None else self._adapter.frozen_embeddings(texts)
        logits = self._baseline.scores(texts, embeddings)
        return Scores(logits.astype(np.float32), np.empty((len(texts), 0), dtype=np.float32))


class Together:
    """The adapter and TF-IDF; the sum of their weighted scores stands for logits.

    Args:
        adapter: One of the two.
        tfidf: The other.
        weights: What the scores of each are multiplied by; see `submillion.together`.
    """

    name = TOGETHER

    def __init__(self, adapter: Adapter, tfidf: Baseline, weights: Mapping[str, float]):
        self._adapter = adapter
        self._tfidf = tfidf
        self._weights = weights

    def load_all(self) -> None:
        """Load the adapter in fp32 too."""
        self._adapter.load_all()

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return the sum for texts, and the adapter's embeddings."""
        of_adapter = self._adapter.scores(texts)
        both = {"adapter": of_adapter.logits, "tfidf_svm": self._tfidf.scores(texts, {})}
        logits = pooled(both, self._weights)
        return Scores(logits.astype(np.float32), of_adapter.embeddings)
