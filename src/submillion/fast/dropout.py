"""Masks for the dropout before LoRA's A: one for each layer, or drawn once a micro-batch for all of them.

torch draws each element of a mask by itself, which takes as long as a fifth of a step in fp32; `drawn_mask` cuts two from
each 64-bit number, a third of the time. In bf16 that is still too much: a pool of bytes is drawn once a micro-batch and each layer takes a window of it at a random place. Within a layer each
element is dropped independently, with a probability of whole 256ths that is ``p`` in the mean over micro-batches; two
layers of the same micro-batch share numbers, at a random shift (the same for all recorded micro-batches of a shape; see
`submillion.training.step_graphs`).
"""

import math

import torch


def drawn_mask(x: torch.Tensor, p: float) -> torch.Tensor:
    """Return a mask of zeros and ones like ``x``, each element 0 by itself with probability ``p`` (to within 2**-32).

    >>> _ = torch.manual_seed(0)
    >>> round(drawn_mask(torch.empty(100_000), p=0.1).mean().item(), 2)
    0.9
    """
    numbers = torch.empty(-(-x.numel() // 2), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = numbers.view(torch.int32)[: x.numel()] >= round(p * 2**32) - 2**31
    return kept.to(x.dtype).view(x.shape)


_SLACK = 1 << 16
"""Elements by which the pool is longer than the largest window: from so many places a window may start."""


_APART = 32
"""Elements between two places where a window may start."""


class MaskPool:
    """Dropout masks from one pool of random bytes.

    Args:
        p: Probability that an element is dropped, above 0 and at most 255/256.
        dtype: Of the masks.
        widest: Columns of the widest mask that will be asked for.

    Raises:
        ValueError: If ``p`` is larger.
    """

    LARGEST = 255 / 256

    def __init__(self, p: float, dtype: torch.dtype, widest: int):
        if p > self.LARGEST:
            raise ValueError(f"dropout {p} is above 255/256, the most that a pool can hold")
        self.p = p
        self.dtype = dtype
        self.widest = widest
        self._pool = torch.empty(0, dtype=dtype)
        self._taken: set[int] = set()

    def draw(self, n_tokens: int, device: torch.device) -> None:
        """Draw a new pool for one micro-batch; masks handed out before stay as they are."""
        n_numbers = -(-(n_tokens * self.widest + _SLACK) // 8)
        numbers = torch.empty(n_numbers, dtype=torch.int64, device=device).random_(-(2**63), None)
        # Of 256 values, p * 256 drop: the fraction is made up for by chance from pool to pool, so that the mean is p.
        whole, fraction = math.floor(self.p * 256), self.p * 256 % 1
        one_more = torch.rand((), device=device) < fraction
        kept = numbers.view(torch.uint8)
        if device.type != "cpu":
            # Not read here: nobody waits for the card, and a replayed step draws anew.
            kept = kept >= whole + one_more
        elif dropped := whole + int(one_more):
            # In place, a tenth of the time that comparing takes on a processor.
            kept = kept.clamp_(dropped - 1, dropped).sub_(dropped - 1)
        else:
            kept = torch.ones_like(kept)
        self._pool = kept.to(self.dtype)
        self._taken.clear()

    def mask(self, n_tokens: int, width: int) -> torch.Tensor:
        """Return a mask of zeros and ones, `[tokens, width]`.

        Raises:
            ValueError: If the pool is too small: it was drawn for fewer tokens, or narrower layers.
        """
        size = n_tokens * width
        n_places = len(self._pool) - size + 1
        if n_places < 1:
            raise ValueError(f"a mask of {n_tokens} x {width} was asked of a pool of {len(self._pool)}")
        start = int(torch.randint(n_places, ()).item()) // _APART * _APART
        if _APART * len(self._taken) >= n_places - _APART:
            self._taken.clear()
        while start in self._taken:  # by another layer, which would drop the same elements
            start = (start + _APART) % n_places // _APART * _APART
        self._taken.add(start)
        return self._pool[start : start + size].view(n_tokens, width)
