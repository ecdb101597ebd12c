"""What the frozen encoder makes of the train rows: the head's start before training, the cheap alternatives after it."""

import numpy as np
from rich.console import Console

from submillion.baselines import (
    INDEX,
    Baselines,
    fit_baselines,
    load_baselines,
    min_df_of,
    save_baselines,
)
from submillion.data.windows import taken
from submillion.encoders import load_config
from submillion.model.build import Classifier
from submillion.model.device import give_back_freed_memory
from submillion.probe import Probe
from submillion.reference import Look, drawn_rows, write_look
from submillion.run import RunFolder
from submillion.scoring import embed_frozen
from submillion.training.prepare import Prepared
from submillion.training.seconds import Seconds
from submillion.training.start import (
    as_baseline,
    fit_head_probe,
    most_start_rows,
    start_head,
    start_rows,
)
from submillion.training.weights import baseline_weights


class FrozenRows:
    """The train rows as the frozen encoder sees them, embedded in two parts: those that the head starts from, and the others.

    In the same two parts even where the head does not start from the first: so a run that was interrupted comes to the
    same baselines bit for bit.

    Args:
        prepared: Rows, tokens, plan and recipe.
        model: What trains; its encoder is frozen before and after.
        folder: Where the baselines are kept.
        seconds: Told what each part took.
        console: Where progress is shown.
    """

    def __init__(
        self, prepared: Prepared, model: Classifier, folder: RunFolder, seconds: Seconds, console: Console
    ):
        self.prepared, self.model, self.folder = prepared, model, folder
        self.seconds, self.console = seconds, console
        self._rows = start_rows(prepared.train.labels, prepared.recipe.seed)
        self._of_rows: dict[str, np.ndarray] | None = None
        self._probe_mean: Probe | None = None

    def start_head(self) -> None:
        """Start the model's head from a probe of the first part."""
        train = self.prepared.train
        embeddings = self._of_rows = self._embedded(self._rows)
        with self.seconds.spent_on("head_start"), self.console.status("starting the head from a probe"):
            probe = fit_head_probe(self.model, train, self._rows, embeddings["mean"], self.prepared.recipe)
            start_head(self.model, *probe.head_weights())
        self._probe_mean = as_baseline(probe, self._rows, train)

    def kept_baselines(self) -> Baselines | None:
        """Return the baselines that an interrupted run has fitted, None where it has not come to that.

        Raises:
            RunError: If they are damaged.
        """
        folder = self.folder.baselines
        return load_baselines(folder) if (folder / INDEX).is_file() else None

    def fit_baselines(self) -> Baselines:
        """Fit and keep the cheap alternatives, and how some train rows look to them."""
        recipe, splits, labels = self.prepared.recipe, self.prepared.splits, self.prepared.train.labels
        embeddings = self._all_embedded()
        give_back_freed_memory()  # the tensors of a training step
        with self.seconds.spent_on("baselines"), self.console.status("fitting the baselines"):
            n_labels, texts = len(splits.label_names), splits.train.texts
            weights = baseline_weights(recipe.training, labels, n_labels)
            baselines = fit_baselines(
                texts, labels, n_labels, embeddings, recipe.seed, weights, self._probe_mean
            )
            drawn = drawn_rows(len(texts), recipe.seed)
            remembered = {name: values[drawn] for name, values in embeddings.items()}
            look = Look.of([texts[row] for row in drawn], remembered, baselines, are_train=True)
            write_look(self.folder.look("train"), look)
            save_baselines(baselines, self.folder.baselines)
        return baselines

    def _embedded(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        status = self.console.status("embedding the train rows with the frozen encoder")
        with self.seconds.spent_on("embedding"), status:
            return embed_frozen(
                self.prepared.embedder(self.model),
                taken(self.prepared.train.input_ids, rows),
                self.prepared.recipe.training.per_device_eval_batch_size,
            )

    def _all_embedded(self) -> dict[str, np.ndarray]:
        n_rows = len(self.prepared.splits.train)
        of_rows, self._of_rows = self._of_rows or self._embedded(self._rows), None
        others = np.setdiff1d(np.arange(n_rows), self._rows)
        if len(others) == 0:
            return of_rows
        of_others, whole = self._embedded(others), {}
        for name, values in of_rows.items():
            whole[name] = np.empty((n_rows, values.shape[1]), np.float32)
            whole[name][self._rows], whole[name][others] = values, of_others.pop(name)
        return whole


_BYTES_A_CELL = 25
"""What fitting a probe takes at its peak for each number of its embeddings (AG News, 12,000 and 64,000 rows: 25 and 26)."""

_BYTES_A_LETTER = {1: 35, 2: 23}
"""What fitting TF-IDF takes for each letter, where a term must stand in one row or two (AG News 35, 22; 20 Newsgroups 33)."""


def held_bytes(prepared: Prepared) -> int:
    """Return the bytes of the embeddings that are held while training: mean and first token of the first part."""
    if prepared.recipe.model.head_init != "probe":
        return 0
    labels = prepared.train.labels
    return _bytes_a_row(prepared) * min(len(labels), most_start_rows(labels))


def baseline_bytes(prepared: Prepared) -> int:
    """Return about the bytes that fitting the baselines takes at its peak: the embeddings, and what the largest fit needs."""
    texts = prepared.splits.train.texts
    embeddings = _bytes_a_row(prepared) * len(texts)
    of_probe = _BYTES_A_CELL * embeddings // 8
    of_tfidf = _BYTES_A_LETTER[min_df_of(len(texts))] * sum(map(len, texts))
    return embeddings + max(of_probe, of_tfidf)


def _bytes_a_row(prepared: Prepared) -> int:
    """Return the bytes of a row's two embeddings, fp32."""
    return 2 * 4 * int(load_config(prepared.encoder).hidden_size)
