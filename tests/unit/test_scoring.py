"""The scoring pass: input order, whatever the batches and the padding."""

import numpy as np
import pytest
import torch

from conftest import learnable_rows
from submillion.budget import make_plan
from submillion.data.tokens import tokenize
from submillion.encoders import load_tokenizer
from submillion.errors import RunError
from submillion.model.build import build_model
from submillion.scoring import Scores, embed_frozen, pad, read_scores, score, write_scores

TEXTS = [text for text, _ in learnable_rows(23, seed=1)] + ["goal", "moon " * 30, ""]


@pytest.fixture(scope="module", params=["first", "mean"])
def scored(request, tiny_encoder):
    """A model with a random adapter that has an effect, and tokenised rows of differing length."""
    encoder = tiny_encoder("roberta")
    plan = make_plan(encoder, 3, pooling=request.param, rank=2)
    model = build_model(plan, encoder, ("a", "b", "c"), seed=0)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, value in model.named_parameters():
            if ".lora_B." in name:
                value.normal_(0, 0.3)
        model.last_projection.weight.mul_(100)  # logits that differ by more than rounding does
    return model, tokenize(load_tokenizer(encoder), TEXTS, 64).input_ids


def test_results_stand_in_input_order(scored):
    model, rows = scored
    whole = score(model, rows, 8)
    assert whole.logits.shape == (len(TEXTS), 3)
    assert whole.logits.dtype == whole.embeddings.dtype == np.float32
    assert np.ptp(whole.logits, axis=0).min() > 1e-3
    for row in range(len(rows)):
        np.testing.assert_allclose(score(model, [rows[row]]).logits[0], whole.logits[row], atol=1e-5)
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = score(model, [rows[row] for row in order], 8)
    np.testing.assert_allclose(shuffled.logits, whole.logits[order], atol=1e-5)
    np.testing.assert_allclose(shuffled.embeddings, whole.embeddings[order], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1000])
def test_batch_size_does_not_matter(scored, batch_size):
    model, rows = scored
    expected, got = score(model, rows, 8), score(model, rows, batch_size)
    np.testing.assert_allclose(got.logits, expected.logits, atol=1e-5)
    np.testing.assert_allclose(got.embeddings, expected.embeddings, atol=1e-5)
    for name, values in embed_frozen(model, rows, batch_size).items():
        np.testing.assert_allclose(values, embed_frozen(model, rows, 8)[name], atol=1e-5)


def test_padding_does_not_matter(scored):
    model, rows = scored
    model.eval()
    with torch.inference_mode():
        for row in rows[:5]:
            plain = model.score(*pad([row], 0))
            padded = model.score(*pad([row], 0, length=60))
            for one, other in zip(plain, padded, strict=True):
                torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_the_mode_is_put_back_and_dropout_is_off(scored):
    model, rows = scored
    model.train()
    first = score(model, rows)
    assert model.training
    assert np.array_equal(score(model, rows).logits, first.logits)
    model.eval()
    score(model, rows)
    assert not model.training


def test_frozen_embeddings_do_not_know_the_adapter(scored):
    model, rows = scored
    embedded = embed_frozen(model, rows)
    np.testing.assert_allclose(np.linalg.norm(embedded["mean"], axis=1), 1, atol=1e-5)
    before = score(model, rows).logits
    kept = {name: value.clone() for name, value in model.named_parameters() if ".lora_B." in name}
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name in kept:
                value.zero_()
    try:
        for name, values in embed_frozen(model, rows).items():
            np.testing.assert_array_equal(values, embedded[name])
        assert np.abs(score(model, rows).logits - before).max() > 1e-3
    finally:
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name in kept:
                    value.copy_(kept[name])


def test_progress_counts_every_row_and_no_rows_are_refused(scored):
    model, rows = scored
    done: list[int] = []
    score(model, rows, 8, done.append)
    assert sum(done) == len(rows)
    with pytest.raises(ValueError, match="no rows to score"):
        score(model, [])


def test_probabilities_of_large_logits():
    scores = Scores(np.array([[1000.0, 0, -1000], [0, 0, 0]], np.float32), np.zeros((2, 1), np.float32))
    np.testing.assert_allclose(scores.probabilities, [[1, 0, 0], [1 / 3] * 3], atol=1e-12)
    assert scores.predictions.tolist() == [0, 0]


def test_scores_come_back_as_they_were_kept(tmp_path):
    scores = Scores(np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 4), np.float32))
    labels, numbers = np.array([2, 0]), np.array([5, 9])
    path = tmp_path / "validation.parquet"
    write_scores(path, numbers, labels, scores, {"majority": np.array([0, 0])})
    rows = read_scores(path)
    assert rows.row_numbers.tolist() == [5, 9]
    assert rows.labels.tolist() == [2, 0]
    np.testing.assert_array_equal(rows.scores.logits, scores.logits)
    np.testing.assert_array_equal(rows.scores.embeddings, scores.embeddings)
    assert {name: values.tolist() for name, values in rows.baseline_predictions.items()} == {
        "majority": [0, 0]
    }
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match="cannot be read"):
        read_scores(path)
