"""The one pass that turns rows into logits and pooled embeddings.

Prediction, evaluation, the linear probe and every estimate use it. Batches hold rows of like length; memory
is bounded by one chunk of rows; results stand in the order of the input.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import torch
from pyarrow import parquet
from scipy.special import expit, softmax

from submillion.budget.families import max_positions
from submillion.data.tokens import batches_of_like_length
from submillion.data.windows import Windows
from submillion.errors import Diverged, RunError
from submillion.model.build import Classifier
from submillion.multi_label import DEFAULT_THRESHOLD, decide
from submillion.run import written_atomically

CHUNK_ROWS = 4096

_THRESHOLD = b"multi_label_threshold"
"""Under which a file of scored rows keeps the threshold of `MultiLabelScores`."""

TOKENS_AT_ONCE = 2048
"""Most tokens that run forward at once on a CPU, padding included: more gain little."""


@dataclass(frozen=True)
class Scores:
    """Scored rows: ``logits`` `[n, n_labels]` and ``embeddings`` `[n, width]`, both float32."""

    logits: np.ndarray
    embeddings: np.ndarray

    @property
    def predictions(self) -> np.ndarray:
        """The label of the largest logit of each row, `[n]` int64."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, `[n, n_labels]` float64."""
        return np.asarray(softmax(self.logits.astype(np.float64), axis=1))


@dataclass(frozen=True)
class MultiLabelScores(Scores):
    """Scored rows that may have several labels: those whose sigmoid is at least the threshold."""

    threshold: float = DEFAULT_THRESHOLD

    @property
    def predictions(self) -> np.ndarray:
        """The labels of each row, 0 and 1, `[n, n_labels]` int64."""
        return decide(self.logits, self.threshold)

    @property
    def probabilities(self) -> np.ndarray:
        """Sigmoids of the logits, `[n, n_labels]` float64."""
        return np.asarray(expit(self.logits.astype(np.float64)))


def score(
    model: Classifier,
    input_ids: Sequence[Sequence[int]],
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Score tokenised rows with the adapted model.

    Args:
        model: What predicts; it is put in evaluation mode and back.
        input_ids: Token numbers of each row, at least one row; of texts in windows, logits and embeddings are the means
            over a text's windows.
        batch_size: Most rows a batch.
        progress: Called with the number of rows done after each batch.

    Raises:
        Diverged: If a logit is not finite.
    """
    logits, embeddings = _in_batches(model, model.score, input_ids, batch_size, progress)
    if not np.isfinite(logits).all():
        raise Diverged(
            "training diverged (logits are no longer finite): start anew with a lower learning_rate"
        )
    return Scores(logits, embeddings)


def embed_frozen(
    model: Classifier,
    input_ids: Sequence[Sequence[int]],
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Return the frozen encoder's embeddings: ``mean`` (normalised) and ``first``, both `[n, width]` float32."""
    mean, first = _in_batches(model, model.embed_frozen, input_ids, batch_size, progress)
    if isinstance(input_ids, Windows):
        mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return {"mean": mean, "first": first}


def head_inputs(model: Classifier, input_ids: Sequence[Sequence[int]], batch_size: int = 64) -> np.ndarray:
    """Return what the last projection is given for each row, `[n, width]` float32."""
    return _in_batches(model, model.head_input, input_ids, batch_size, None)[0]


@torch.inference_mode()
def _in_batches(
    model: Classifier,
    forward: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]],
    input_ids: Sequence[Sequence[int]],
    batch_size: int,
    progress: Callable[[int], None] | None,
) -> list[np.ndarray]:
    """Run ``forward`` over batches of like length and put its results back in row order.

    Of texts in windows, each result is the mean over a text's windows.
    """
    if isinstance(input_ids, Windows):
        of_windows = _in_batches(model, forward, input_ids.windows, batch_size, progress)
        return [input_ids.means(values) for values in of_windows]
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    results: list[np.ndarray] = []
    try:
        lengths = [len(ids) for ids in input_ids]
        most_tokens = TOKENS_AT_ONCE if device.type == "cpu" else None
        for batch in batches_of_like_length(lengths, batch_size, most_tokens):
            length = rounded_length(lengths[batch[0]], max_positions(model.config) - model.n_virtual_tokens)
            padded, mask = pad([input_ids[row] for row in batch], model.config.pad_token_id, length)
            values = [value.float().cpu().numpy() for value in forward(padded.to(device), mask.to(device))]
            if not results:
                results = [np.empty((len(input_ids), value.shape[1]), np.float32) for value in values]
            for result, value in zip(results, values, strict=True):
                result[batch] = value
            if progress is not None:
                progress(len(batch))
    finally:
        model.train(was_training)
    if not results:
        raise ValueError("no rows to score")
    return results


def write_scores(
    path: Path,
    row_numbers: np.ndarray,
    labels: np.ndarray,
    scores: Scores,
    baseline_predictions: Mapping[str, np.ndarray],
) -> None:
    """Keep scored rows as Parquet: row id, label, logits, pooled embedding, each baseline's label."""
    columns: dict[str, Any] = {
        "row_id": row_numbers,
        "label": list(labels),
        "logits": list(scores.logits),
        "embedding": list(scores.embeddings),
    }
    columns |= {f"baseline_{name}": list(predictions) for name, predictions in baseline_predictions.items()}
    table = pyarrow.table(columns)
    if isinstance(scores, MultiLabelScores):
        table = table.replace_schema_metadata({_THRESHOLD: repr(scores.threshold)})
    with written_atomically(path) as temporary:
        parquet.write_table(table, temporary)


@dataclass(frozen=True)
class ScoredRows:
    """What `write_scores` kept: labels `[n]`, scores, and each baseline's predictions `[n]`."""

    row_numbers: np.ndarray
    labels: np.ndarray
    scores: Scores
    baseline_predictions: dict[str, np.ndarray]


def read_scores(path: Path) -> ScoredRows:
    """Read scored rows back.

    Raises:
        RunError: If the file is missing or damaged.
    """
    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise RunError(f"{path} cannot be read ({error}): put a whole copy of it back") from None
    matrix = {name: np.stack(table[name].to_numpy()) for name in ("logits", "embedding")}
    threshold = (table.schema.metadata or {}).get(_THRESHOLD)
    scores = Scores(matrix["logits"], matrix["embedding"])
    if threshold is not None:
        scores = MultiLabelScores(scores.logits, scores.embeddings, float(threshold))
    return ScoredRows(
        row_numbers=table["row_id"].to_numpy(),
        labels=_labels_of(table["label"]),
        scores=scores,
        baseline_predictions={
            name.removeprefix("baseline_"): _labels_of(table[name])
            for name in table.column_names
            if name.startswith("baseline_")
        },
    )


def _labels_of(column: Any) -> np.ndarray:
    """Return labels `[n]`; of rows that may have several 0 and 1, `[n, n_labels]`."""
    values = column.to_numpy()
    return np.stack(values) if values.dtype == object else values


def rounded_length(longest: int, limit: int) -> int:
    """Return what a batch is padded to: its longest row, rounded up within ``limit``.

    Up to a multiple of 8 tokens to 64, of 16 to 128, of 32 to 256, and so on: there are 4 lengths for each doubling.
    oneDNN builds code for each shape that it meets, and keeps it, some 20 MB a shape: few shapes save time and memory.

    >>> rounded_length(53, limit=512), rounded_length(100, limit=512), rounded_length(509, limit=510)
    (56, 112, 510)
    """
    multiple = max(8, 1 << max(0, (longest - 1).bit_length() - 3))
    return max(longest, min(-(-longest // multiple) * multiple, limit))


def pad(
    rows: Sequence[Sequence[int]], pad_token_id: int, length: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows padded on the right and their attention mask, both `[n, length]` int64.

    >>> pad([[5, 6], [7]], 0)
    (tensor([[5, 6],
            [7, 0]]), tensor([[1, 1],
            [1, 0]]))
    """
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    width = int(lengths.max()) if length is None else length
    mask = np.arange(width) < lengths[:, None]
    padded = np.full((len(rows), width), pad_token_id, dtype=np.int64)
    padded[mask] = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(lengths.sum()))
    return torch.from_numpy(padded), torch.from_numpy(mask.astype(np.int64))
