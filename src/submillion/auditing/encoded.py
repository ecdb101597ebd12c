"""Rows as a frozen encoder reads them: how long they are, and their embeddings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submillion.budget.families import max_positions
from submillion.data.tokens import choose_max_length, cut, encode
from submillion.encoders import load_config, load_tokenizer, resolve_encoder

_TIMED_ROWS = 64
"""Rows that are embedded to foretell how long all of them take."""


@dataclass(frozen=True)
class Encoded:
    """Rows as an encoder reads them.

    Attributes:
        model: The encoder as it was named.
        name: Its folder or hub id.
        tokens: All tokens of each row.
        limit: Most tokens that it reads.
    """

    model: str
    name: str
    tokens: Any
    limit: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, special ones included, `[n]`."""
        return np.asarray(self.tokens.lengths)

    def embed(self, places: np.ndarray, say: Callable[[str], None]) -> np.ndarray:
        """Return the frozen encoder's normalised mean of tokens of some rows, `[n, width]`; texts are cut as training would.

        Args:
            places: Which rows.
            say: Told how long it will take.
        """
        from submillion.budget.plan import make_plan
        from submillion.model.build import build_model
        from submillion.model.device import has_bf16
        from submillion.scoring import embed_frozen

        # The smallest adapter there is: it is switched off to embed, and the way is the one that runs use.
        plan = make_plan(self.name, 2, rank=1, pooling="mean", must_fit=False)
        numerics = "fast" if has_bf16() and _has_fast_block(self.name) else "exact"
        model = build_model(plan, self.name, ["0", "1"], seed=0, numerics=numerics)
        max_length = choose_max_length(self.lengths[places], self.limit)
        ids = cut(self.tokens.take(places), max_length).input_ids
        if len(ids) > 4 * _TIMED_ROWS:
            drawn = np.random.default_rng(0).permutation(len(ids))[:_TIMED_ROWS]
            started = time.perf_counter()
            embed_frozen(model, [ids[row] for row in drawn.tolist()])
            seconds = (time.perf_counter() - started) / len(drawn) * len(ids)
            say(
                f"embedding {len(ids):,} rows with {self.model}: about {_duration(seconds)}; --without-encoder takes TF-IDF"
            )
        return embed_frozen(model, ids)["mean"]


def encode_rows(model: str, texts: Sequence[str]) -> Encoded:
    """Tokenise rows for an encoder.

    Raises:
        ConfigError: If the encoder is not here or not supported.
    """
    name = resolve_encoder(model)
    return Encoded(model, name, encode(load_tokenizer(name), texts), max_positions(load_config(name)))


def _has_fast_block(name: str) -> bool:
    from submillion.budget.families import family_of

    return family_of(load_config(name).model_type, name).has_fast_block


def _duration(seconds: float) -> str:
    """Return seconds in words.

    >>> _duration(30.2), _duration(610.0)
    ('30 seconds', '11 minutes')
    """
    return f"{max(1, round(seconds)):,} seconds" if seconds < 120 else f"{-(-seconds // 60):,.0f} minutes"
