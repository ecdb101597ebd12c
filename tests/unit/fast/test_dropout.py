"""Masks from a shared pool: their values, their rates and where they come from.

How adapted layers use them is in `test_lora_product`.
"""

import math

import pytest
import torch

from submillion.fast.dropout import MaskPool, drawn_mask

CPU = torch.device("cpu")
RATES = pytest.mark.parametrize("p", [0.1, 0.25, 0.003])


@RATES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masks_hold_zeros_and_ones_only(p, dtype):
    torch.manual_seed(0)
    pool = MaskPool(p, dtype, 32)
    seen = set()
    for _ in range(20):
        pool.draw(64, CPU)
        mask = pool.mask(64, 32)
        assert mask.shape == (64, 32)
        assert mask.dtype == dtype
        seen |= set(mask.unique().tolist())
    assert seen == {0.0, 1.0}


@RATES
def test_the_mean_is_what_is_kept(p):
    """Drawn as bytes, a rate between two 256ths is met by chance from pool to pool: both spreads are counted."""
    torch.manual_seed(1)
    pool = MaskPool(p, torch.float32, 64)
    n_draws, n_elements = 6000, 64 * 64
    total = 0.0
    for _ in range(n_draws):
        pool.draw(64, CPU)
        total += pool.mask(64, 64).mean(dtype=torch.float64).item()
    whole, fraction = divmod(p * 256, 1)
    between = fraction * (1 - fraction) / 256**2
    within = sum(
        share * (rate / 256) * (1 - rate / 256) / n_elements
        for share, rate in ((1 - fraction, whole), (fraction, whole + 1))
    )
    error = math.sqrt((between + within) / n_draws)
    assert abs(total / n_draws - (1 - p)) < 4 * error
    assert error < 2e-4, "too wide an error shows nothing"


@RATES
def test_columns_are_dropped_equally_often(p):
    torch.manual_seed(2)
    pool, n_draws, n_tokens, width = MaskPool(p, torch.float32, 48), 60, 1024, 48
    dropped = torch.zeros(width)
    for _ in range(n_draws):
        pool.draw(n_tokens, CPU)
        dropped += (pool.mask(n_tokens, width) == 0).sum(0)
    rate = dropped.sum().item() / (n_draws * n_tokens * width)
    error = math.sqrt(n_draws * n_tokens * rate * (1 - rate))
    assert (dropped - dropped.mean()).abs().max() < 5 * error
    assert dropped.std() > 0.5 * error, "columns that are equal do not come by chance"


def test_rows_and_neighbours_are_independent():
    torch.manual_seed(3)
    pool = MaskPool(0.25, torch.float32, 64)
    pool.draw(4096, CPU)
    kept = (pool.mask(4096, 64) > 0).double()
    centred = kept - kept.mean()
    error = 0.25 * 0.75 / math.sqrt(kept.numel())
    for shift in ((0, 1), (1, 0), (0, 8), (2, 3)):
        assert (centred * centred.roll(shift, (0, 1))).mean().abs() < 4.5 * error, shift


def test_masks_of_before_a_draw_stay():
    torch.manual_seed(4)
    pool = MaskPool(0.25, torch.float32, 16)
    pool.draw(32, CPU)
    mask = pool.mask(32, 16)
    before = mask.clone()
    pool.draw(32, CPU)
    assert torch.equal(mask, before)
    assert not torch.equal(pool.mask(32, 16), before)


def test_layers_of_one_draw_get_different_windows():
    torch.manual_seed(5)
    pool = MaskPool(0.25, torch.float32, 16)
    pool.draw(32, CPU)
    masks = {tuple(pool.mask(32, 16).flatten().tolist()) for _ in range(500)}
    assert len(masks) == 500
    for _ in range(5_000):  # more than there are places
        pool.mask(32, 16)


def test_too_large_a_mask_is_refused():
    pool = MaskPool(0.25, torch.float32, 16)
    with pytest.raises(ValueError, match=r"^a mask of 1 x 16 was asked of a pool of 0$"):
        pool.mask(1, 16)
    pool.draw(32, CPU)
    assert pool.mask(32, 16).shape == (32, 16)
    assert pool.mask(8, 64).shape == (8, 64)
    with pytest.raises(ValueError, match=r"^a mask of 32 x 4096 was asked of a pool of \d+$"):
        pool.mask(32, 4096)


def test_torchs_seed_chooses_the_masks():
    def masks(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        pool = MaskPool(0.1, torch.float32, 16)
        drawn = []
        for _ in range(3):
            pool.draw(32, CPU)
            drawn += [pool.mask(32, 16), pool.mask(32, 8)]
        return torch.cat([mask.flatten() for mask in drawn])

    assert torch.equal(masks(6), masks(6))
    assert not torch.equal(masks(6), masks(7))


def test_a_rate_that_bytes_cannot_hold_is_refused():
    MaskPool(255 / 256, torch.float32, 64).draw(64, CPU)
    with pytest.raises(ValueError, match=r"^dropout 0\.999 is above 255/256, the most that a pool can hold$"):
        MaskPool(0.999, torch.float32, 64)


@RATES
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_layers_own_mask_drops_each_element_by_itself(p, dtype):
    torch.manual_seed(2)
    mask = drawn_mask(torch.empty(1001, 999, dtype=dtype), p)
    assert (mask.shape, mask.dtype) == ((1001, 999), dtype)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    dropped = 1 - mask.double()
    error = math.sqrt(p * (1 - p) / mask.numel())
    assert abs(dropped.mean().item() - p) < 4 * error
    neighbours = (dropped[:, :-1] * dropped[:, 1:]).mean().item()
    assert abs(neighbours - p * p) < 5 * math.sqrt(p * p * (1 - p * p) / mask.numel())
    torch.manual_seed(2)
    assert torch.equal(drawn_mask(torch.empty(1001, 999, dtype=dtype), p), mask)
