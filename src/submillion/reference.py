"""What a run remembers of the rows it knows, so that new rows can be laid beside them. No text is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from submillion.baselines import Baselines, TfidfSvm
from submillion.data.surface import surface
from submillion.errors import RunError
from submillion.run import written_atomically

MAX_ROWS = 4_000
"""Most train rows that are remembered, drawn by the seed: 3 MB at a width of 384."""

_SCORE = "score."


@dataclass(frozen=True)
class Look:
    """How rows look to what has learnt nothing from them.

    Attributes:
        frozen: The frozen encoder's embeddings, mean of the tokens, `[n, width]` float32.
        surface: `[n, 8]` float32; see `submillion.data.surface.FEATURES`.
        scores: Of each baseline, name -> `[n, n_labels]` float32; empty for train rows, which it was fitted on.
        characters: Of train rows, every character that stands in them, sorted; of others nothing.
    """

    frozen: np.ndarray
    surface: np.ndarray
    scores: Mapping[str, np.ndarray]
    characters: str = ""

    def __len__(self) -> int:
        return len(self.frozen)

    @property
    def predictions(self) -> dict[str, np.ndarray]:
        """Each baseline's labels, name -> `[n]` int64."""
        return {name: values.argmax(axis=1) for name, values in self.scores.items()}

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        embeddings: Mapping[str, np.ndarray],
        baselines: Baselines,
        *,
        are_train: bool,
        seen: np.ndarray | None = None,
    ) -> "Look":
        """Return how rows look.

        Args:
            texts: The rows' texts.
            embeddings: Their frozen embeddings: ``mean`` and ``first``, `[n, width]` each.
            baselines: The run's; its TF-IDF says which words are known.
            are_train: Whether the baselines were fitted on them: then these do not score them, and a word counts as known
                where another row holds it too, as it would were the row new.
            seen: Of further rows: which of them stand among the train rows too, `[n]` of bool; their words count as known
                as those of train rows do, so that the two look the same. None: none of them.
        """
        counts = rows_with_word(baselines)
        known, known_to_train = ({word for word, n in counts.items() if n >= least} for least in (1, 2))
        if are_train:
            seen = np.ones(len(texts), dtype=bool)
        outside = surface(texts, known)
        if seen is not None and seen.any():
            outside[seen] = surface([texts[row] for row in np.flatnonzero(seen).tolist()], known_to_train)
        scores = {} if are_train else baselines.scores(texts, embeddings)
        characters = "".join(sorted(set().union(*texts))) if are_train else ""
        return cls(embeddings["mean"], outside, scores, characters)


def rows_with_word(baselines: Baselines) -> dict[str, int]:
    """Return each word of the train rows, in small letters, and how many of them hold it."""
    counts: dict[str, int] = {}
    for member in baselines.members.values():
        if isinstance(member, TfidfSvm):
            # scikit-learn's smooth idf, turned round
            n_rows = np.rint((1 + baselines.n_rows) / np.exp(member.idf.astype(np.float64) - 1) - 1)
            counts |= {
                term: int(n) for term, n in zip(member.terms, n_rows.tolist(), strict=True) if " " not in term
            }
    return counts


def drawn_rows(n_rows: int, seed: int) -> np.ndarray:
    """Return which of ``n_rows`` are remembered, at most `MAX_ROWS`, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(n_rows)[:MAX_ROWS])


def write_look(path: Path, look: Look) -> None:
    """Keep how rows look as safetensors; embeddings in half precision."""
    from safetensors.numpy import save_file

    tensors = {"frozen": look.frozen.astype(np.float16), "surface": look.surface}
    tensors |= {f"{_SCORE}{name}": values.astype(np.float32) for name, values in look.scores.items()}
    metadata = {"characters": look.characters}
    with written_atomically(path) as temporary:
        save_file(
            {name: np.ascontiguousarray(values) for name, values in tensors.items()}, temporary, metadata
        )


def read_look(path: Path) -> Look:
    """Read what `write_look` kept.

    Raises:
        RunError: If the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            characters = (file.metadata() or {}).get("characters", "")
        scores = {name.removeprefix(_SCORE): tensors[name] for name in tensors if name.startswith(_SCORE)}
        return Look(tensors["frozen"].astype(np.float32), tensors["surface"], scores, characters)
    except (OSError, SafetensorError, KeyError) as error:
        raise RunError(f"{path} cannot be read: {error!r}. Copy the run again, or train again") from None
