"""What a text looks like from outside."""

import numpy as np
import pytest

from submillion.data.surface import FEATURES, surface


def of(text, vocabulary=()):
    return dict(zip(FEATURES, surface([text], set(vocabulary))[0].tolist(), strict=True))


def test_each_feature_counts_what_it_is_called():
    found = of("The 2 cafés — the END!", ["the", "end"])
    n = len("The 2 cafés — the END!")
    assert np.exp(found["words"]) - 1 == pytest.approx(6)
    assert found["capitals"] == pytest.approx(4 / n)
    assert found["digits"] == pytest.approx(1 / n)
    assert found["signs"] == pytest.approx(2 / n)
    assert found["beyond ASCII"] == pytest.approx(2 / n)
    assert found["unknown words"] == pytest.approx(1 / 4)  # the, cafés, the, end
    assert found["repeated words"] == pytest.approx(1 / 4)


def test_a_text_without_a_word_is_finite():
    assert np.isfinite(surface(["", "   ", "!"], set())).all()
    assert surface([], set()).shape == (0, len(FEATURES))
