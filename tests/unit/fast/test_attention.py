"""Attention as batched products: the numbers and gradients of the written-out formula."""

import pytest
import torch

from submillion.fast.attention import first_token_attention, self_attention

N_ROWS, N_TOKENS = 2, 4
CASES = pytest.mark.parametrize(("n_heads", "per_head"), [(1, 3), (2, 3), (3, 2)])


def padding(masked: bool, dtype=torch.float64) -> torch.Tensor | None:
    """Return a mask of rows with one and with two tokens of padding."""
    if not masked:
        return None
    mask = torch.zeros(N_ROWS, N_TOKENS, dtype=dtype)
    mask[0, 3:], mask[1, 2:] = -torch.inf, -torch.inf
    return mask


def draw(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def formula(query, key, value, mask, n_heads):
    """Attend `[rows, tokens, width]` head by head and row by row."""
    rows = []
    for row in range(len(query)):
        heads = []
        for q, k, v in zip(*(part[row].chunk(n_heads, -1) for part in (query, key, value)), strict=True):
            scores = q @ k.t() / q.shape[-1] ** 0.5
            if mask is not None:
                scores = scores + mask[row]
            heads.append(torch.softmax(scores, -1) @ v)
        rows.append(torch.cat(heads, -1))
    return torch.stack(rows)


@CASES
@pytest.mark.parametrize("masked", [False, True])
def test_self_attention_gradcheck(n_heads, per_head, masked):
    projected, mask = draw(N_ROWS, N_TOKENS, 3 * n_heads * per_head), padding(masked)
    assert torch.autograd.gradcheck(lambda value: self_attention(value, mask, n_heads), (projected,))


@CASES
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("of_query", [True, False])
def test_first_token_attention_gradcheck(n_heads, per_head, masked, of_query):
    width = n_heads * per_head
    query, projected = draw(N_ROWS, width), draw(N_ROWS, N_TOKENS, 2 * width)
    query.requires_grad_(of_query)
    mask = padding(masked)
    assert torch.autograd.gradcheck(
        lambda q, kv: first_token_attention(q, kv, mask, n_heads), (query, projected)
    )


@CASES
@pytest.mark.parametrize("masked", [False, True])
def test_self_attention_is_the_formula(n_heads, per_head, masked):
    width = n_heads * per_head
    projected, mask = draw(N_ROWS, N_TOKENS, 3 * width), padding(masked)
    ours = self_attention(projected, mask, n_heads)
    written = formula(*projected.split(width, -1), mask, n_heads)
    torch.testing.assert_close(ours, written, rtol=1e-10, atol=1e-12)
    weights = torch.randn(ours.shape, dtype=ours.dtype)
    (got,) = torch.autograd.grad((ours * weights).sum(), projected)
    (true,) = torch.autograd.grad((written * weights).sum(), projected)
    torch.testing.assert_close(got, true, rtol=1e-10, atol=1e-12)
    if masked:
        assert torch.equal(got[1, 2:, width:], torch.zeros(2, 2 * width, dtype=torch.float64))


@CASES
@pytest.mark.parametrize("masked", [False, True])
def test_first_token_attention_is_the_formula(n_heads, per_head, masked):
    width = n_heads * per_head
    query, projected, mask = draw(N_ROWS, width), draw(N_ROWS, N_TOKENS, 2 * width), padding(masked)
    ours = first_token_attention(query, projected, mask, n_heads)
    written = formula(query[:, None], *projected.split(width, -1), mask, n_heads)[:, 0]
    torch.testing.assert_close(ours, written, rtol=1e-10, atol=1e-12)
    weights = torch.randn(ours.shape, dtype=ours.dtype)
    for got, true in zip(
        torch.autograd.grad((ours * weights).sum(), (query, projected)),
        torch.autograd.grad((written * weights).sum(), (query, projected)),
        strict=True,
    ):
        torch.testing.assert_close(got, true, rtol=1e-10, atol=1e-12)


def test_the_first_tokens_values_are_those_of_all_tokens():
    width, n_heads = 6, 2
    projected, mask = draw(N_ROWS, N_TOKENS, 3 * width), padding(True)
    every = self_attention(projected, mask, n_heads)
    first = first_token_attention(projected[:, 0, :width], projected[..., width:], mask, n_heads)
    torch.testing.assert_close(first, every[:, 0], rtol=1e-10, atol=1e-12)


def test_the_mask_and_the_inputs_are_not_changed():
    projected, mask = draw(N_ROWS, N_TOKENS, 18), padding(True)
    before = projected.detach().clone(), mask.clone()
    self_attention(projected, mask, 2).sum().backward()
    assert torch.equal(projected, before[0])
    assert torch.equal(mask, before[1])


@pytest.mark.parametrize("masked", [False, True])
def test_bf16_stays_near_the_formula(masked):
    width, n_heads = 32, 4
    narrow = draw(N_ROWS, N_TOKENS, 3 * width).detach().to(torch.bfloat16).requires_grad_()
    wide = narrow.detach().double().requires_grad_()
    ours = self_attention(narrow, padding(masked, torch.bfloat16), n_heads)
    written = formula(*wide.split(width, -1), padding(masked), n_heads)
    weights = torch.randn(ours.shape, dtype=torch.bfloat16)
    (got,) = torch.autograd.grad((ours * weights).sum(), narrow)
    (true,) = torch.autograd.grad((written * weights.double()).sum(), wide)
    for mine, right in ((ours, written), (got, true)):
        assert mine.dtype == torch.bfloat16
        assert (mine.double() - right).abs().max() < 2e-2 * right.abs().max()
