"""The cheap alternatives: what they predict, what a head gets from the probe, and what is kept of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from submillion.baselines import (
    Baselines,
    fit_baselines,
    fit_majority,
    fit_probe,
    fit_tfidf_svm,
    load_baselines,
    save_baselines,
)
from submillion.errors import RunError

WORDS = ["grain wheat tonnes", "oil crude barrel", "bank money rate", "ship port strike"]
WIDTH = 6


def rows(n: int, n_labels: int, seed: int = 0) -> tuple[list[str], np.ndarray, dict[str, np.ndarray]]:
    """Return texts, labels and embeddings that a linear model can mostly tell apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_labels
    noise = ["today", "said", "company", "new"]
    texts = [
        " ".join(rng.permutation([*rng.choice(WORDS[label].split(), 2), *rng.choice(noise, 3)]))
        for label in labels
    ]
    centres = np.random.default_rng(99).normal(size=(4, WIDTH))
    mean = (centres[labels] + rng.normal(scale=0.7, size=(n, WIDTH))).astype(np.float32)
    first = (mean * np.array([1, 10, 100, 0.01, 1, 1]) + 5).astype(np.float32)
    first[:, 4] = 3.0  # a constant column
    return texts, labels, {"mean": mean, "first": first}


def fitted(n: int = 60, n_labels: int = 4) -> Baselines:
    texts, labels, embeddings = rows(n, n_labels)
    return fit_baselines(texts, labels, n_labels, embeddings, seed=0)


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_labels", [2, 4])
def test_the_linear_baselines_beat_the_majority(n_labels: int) -> None:
    texts, labels, embeddings = _new_rows(n_labels)
    predictions = fitted(n_labels=n_labels).predict(texts, embeddings)
    assert list(predictions) == ["majority", "tfidf_svm", "probe_mean", "probe_first"]
    assert np.mean(predictions["majority"] == labels) == 1 / n_labels
    for name in ("tfidf_svm", "probe_mean", "probe_first"):
        assert np.mean(predictions[name] == labels) > 1 / n_labels + 0.2
        assert predictions[name].dtype == np.int64


def _new_rows(n_labels: int) -> tuple[list[str], np.ndarray, dict[str, np.ndarray]]:
    return rows(80, n_labels, seed=1)


@pytest.mark.parametrize("n_labels", [2, 4])
def test_tfidf_svm_predicts_as_scikit_learn_does(n_labels: int) -> None:
    texts, labels, _ = rows(60, n_labels)
    new, _, _ = _new_rows(n_labels)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    expected = LinearSVC(random_state=0).fit(vectorizer.fit_transform(texts), labels)
    ours = fit_tfidf_svm(texts, labels, n_labels, seed=0)
    assert (
        ours.scores(new, {}).argmax(axis=1).tolist() == expected.predict(vectorizer.transform(new)).tolist()
    )


@pytest.mark.parametrize("n_labels", [2, 4])
def test_head_weights_of_the_mean_are_the_probe_s_probabilities(n_labels: int) -> None:
    texts, labels, embeddings = rows(60, n_labels)
    probe = fit_baselines(texts, labels, n_labels, embeddings, seed=0)["probe_mean"]
    unit = embeddings["mean"] / np.linalg.norm(embeddings["mean"], axis=1, keepdims=True)
    weight, bias = probe.head_weights()
    assert weight.shape == (n_labels, WIDTH)
    assert bias.shape == (n_labels,)
    expected = LogisticRegression(C=probe.c, max_iter=10_000).fit(unit, labels).predict_proba(unit)
    assert softmax(unit @ weight.T + bias) == pytest.approx(expected, abs=1e-3)
    assert (
        probe.scores([], embeddings).argmax(axis=1).tolist()
        == (unit @ weight.T + bias).argmax(axis=1).tolist()
    )


def test_head_weights_of_a_standardised_probe_take_raw_features() -> None:
    _, labels, embeddings = rows(60, 4)
    probe = fit_probe(embeddings["first"], labels, 4, seed=0)
    weight, bias = probe.head_weights()
    scores = embeddings["first"] @ weight.T + bias
    assert np.isfinite(scores).all()
    assert probe.scores([], embeddings).argmax(axis=1).tolist() == scores.argmax(axis=1).tolist()
    assert not weight[:, 4].any()  # the constant column


def test_a_label_without_rows_is_never_predicted_and_hardly_probable() -> None:
    texts, labels, embeddings = rows(60, 3)
    labels = np.where(labels == 1, 3, labels)  # of 5 labels, 1 and 4 have no row
    baselines = fit_baselines(texts, labels, 5, embeddings, seed=0)
    far = {name: 1e6 * values for name, values in embeddings.items()}
    for predictions in [
        *baselines.predict(texts, embeddings).values(),
        *baselines.predict(texts, far).values(),
    ]:
        assert set(predictions.tolist()) <= {0, 2, 3}
    weight, bias = baselines["probe_first"].head_weights()
    probabilities = softmax(embeddings["first"] @ weight.T + bias)
    assert weight.shape == (5, WIDTH)
    assert probabilities[:, [1, 4]].max() < 1.1e-4


@pytest.mark.parametrize("n_per_label", [1, 2])
def test_as_few_as_one_row_a_label(n_per_label: int) -> None:
    texts, labels, embeddings = rows(4 * n_per_label, 4)
    baselines = fit_baselines(texts, labels, 4, embeddings, seed=0)
    expected = "default" if n_per_label == 1 else "log loss over 2 folds of 8 rows"
    assert baselines["probe_mean"].c_chosen_by == expected
    assert baselines.predict(texts, embeddings)["tfidf_svm"].tolist() == labels.tolist()


def test_a_single_label() -> None:
    texts, _, embeddings = rows(5, 2)
    labels = np.ones(5, dtype=np.int64)
    predictions = fit_baselines(texts, labels, 3, embeddings, seed=0).predict(texts, embeddings)
    assert all(values.tolist() == labels.tolist() for values in predictions.values())


def test_texts_without_a_word(tmp_path: Path) -> None:
    _, _, embeddings = rows(5, 2)
    baselines = fit_baselines(["?", "!", "-", "", "a"], np.array([0, 1, 1, 1, 0]), 2, embeddings, seed=0)
    save_baselines(baselines, tmp_path)
    assert load_baselines(tmp_path)["tfidf_svm"].scores(["grain", ""], {}).argmax(axis=1).tolist() == [1, 1]


def test_c_is_chosen_on_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submillion.probe.MAX_CV_ROWS", 40)
    assert fitted(n=100)["probe_mean"].c_chosen_by == "log loss over 3 folds of 40 rows"


def test_rare_terms_are_left_out_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submillion.baselines.MIN_DF_2_FROM_ROWS", 10)
    texts = ["wheat grain"] * 5 + ["crude oil"] * 4 + ["unique"]
    baseline = fit_tfidf_svm(texts, np.array([0] * 5 + [1] * 5), 2, seed=0)
    assert list(baseline.terms) == ["crude", "crude oil", "grain", "oil", "wheat", "wheat grain"]


def test_majority_takes_the_lowest_of_several() -> None:
    assert fit_majority(np.array([3, 1, 3, 1]), 4).scores(["a", "b"], {}).argmax(axis=1).tolist() == [1, 1]


def test_unequal_lengths() -> None:
    texts, labels, embeddings = rows(6, 2)
    with pytest.raises(
        ValueError, match=r"^texts, labels and embeddings have \[5, 6\] rows: need one length"
    ):
        fit_baselines(texts[:5], labels, 2, embeddings, seed=0)


@pytest.mark.parametrize("n_labels", [2, 4])
def test_what_is_loaded_predicts_exactly_what_was_saved(tmp_path: Path, n_labels: int) -> None:
    baselines = fitted(n_labels=n_labels)
    save_baselines(baselines, tmp_path / "baselines")
    loaded = load_baselines(tmp_path / "baselines")
    texts, _, embeddings = _new_rows(n_labels)
    before, after = baselines.predict(texts, embeddings), loaded.predict(texts, embeddings)
    assert {name: values.tolist() for name, values in before.items()} == {
        name: values.tolist() for name, values in after.items()
    }
    for name in ("probe_mean", "probe_first", "tfidf_svm"):
        assert (baselines[name].linear.weight == loaded[name].linear.weight).all()
        assert (baselines[name].linear.bias == loaded[name].linear.bias).all()
    assert loaded.to_json() == baselines.to_json()
    assert sorted(path.name for path in (tmp_path / "baselines").iterdir()) == [
        "baselines.json",
        "tfidf_terms.json",
        "weights.safetensors",
    ]


def test_the_seed_decides_all() -> None:
    first, again = fitted(), fitted()
    for name in ("tfidf_svm", "probe_mean", "probe_first"):
        assert (first[name].linear.weight == again[name].linear.weight).all()


def test_to_json_says_what_was_fitted() -> None:
    kept = json.loads(json.dumps(fitted().to_json()))
    assert kept["n_labels"] == 4
    assert kept["n_rows"] == 60
    assert set(kept["members"]) == {"majority", "tfidf_svm", "probe_mean", "probe_first"}
    assert all(member["fit_seconds"] >= 0 for member in kept["members"].values())
    assert all(member.get("converged", True) for member in kept["members"].values())


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        save_baselines(fitted(), tmp_path)
        return tmp_path

    @pytest.mark.parametrize("file", ["baselines.json", "tfidf_terms.json", "weights.safetensors"])
    def test_missing(self, folder: Path, file: str) -> None:
        (folder / file).unlink()
        with pytest.raises(RunError) as caught:
            load_baselines(folder)
        assert str(folder / file) in str(caught.value)

    @pytest.mark.parametrize("file", ["tfidf_terms.json", "weights.safetensors"])
    def test_one_byte_changed(self, folder: Path, file: str) -> None:
        content = bytearray((folder / file).read_bytes())
        content[-2] ^= 1
        (folder / file).write_bytes(content)
        with pytest.raises(RunError) as caught:
            load_baselines(folder)
        assert str(caught.value) == (
            f"{folder / file} is damaged: its sha256 is not the one in baselines.json. Copy the run again, "
            "or train again"
        )

    @pytest.mark.parametrize("content", ["{", "{}", "[]", '{"sha256": {}, "members": {"probe_mean": {}}}'])
    def test_damaged_index(self, folder: Path, content: str) -> None:
        (folder / "baselines.json").write_text(content)
        with pytest.raises(RunError) as caught:
            load_baselines(folder)
        assert str(folder / "baselines.json") in str(caught.value)

    def test_an_interrupted_save_leaves_the_old_index(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        monkeypatch.setattr("safetensors.numpy.save_file", fail)
        with pytest.raises(KeyboardInterrupt):
            save_baselines(replace(fitted(), n_rows=7), folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
