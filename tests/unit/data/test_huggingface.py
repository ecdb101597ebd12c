import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from submillion.data import read_rows, stream_rows
from submillion.errors import DataError

FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["z", "a"])})


@pytest.fixture(autouse=True)
def _quiet():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="module")
def dataset():
    return Dataset.from_dict({"text": [f"t{i}" for i in range(6)], "label": [0, 1] * 3}, features=FEATURES)


def message(source, **kwargs):
    with pytest.raises(DataError) as caught:
        read_rows(source, **kwargs)
    return str(caught.value)


def test_a_dataset_keeps_its_own_order_and_names(dataset):
    rows = read_rows(dataset.select([4, 1]).with_format("numpy"))
    assert (rows.texts, rows.labels, rows.row_numbers) == (["t4", "t1"], ["z", "a"], [0, 1])
    assert (rows.label_names, rows.label_values, rows.source) == (("z", "a"), (0, 1), "Dataset")


def test_a_saved_folder(dataset, tmp_path):
    dataset.shuffle(seed=3).save_to_disk(tmp_path / "d")
    rows = read_rows(tmp_path / "d")
    assert rows.texts == dataset.shuffle(seed=3)["text"][:]
    assert [len(r.texts) for r in stream_rows(tmp_path / "d", chunk_rows=4)] == [4, 2]
    assert (
        message(f"{tmp_path / 'd'}:train")
        == f"{tmp_path / 'd'} holds one data set, no splits: leave ':train' out"
    )


def test_a_saved_folder_with_splits(dataset, tmp_path):
    folder = tmp_path / "d"
    DatasetDict({"train": dataset, "test": dataset.select([5])}).save_to_disk(folder)
    assert read_rows(f"{folder}:test").texts == ["t5"]
    assert message(folder) == f"{folder} holds the splits train, test; name one: {folder}:train"
    assert message(f"{folder}:dev") == (
        f"{folder} holds the splits train, test; there is no split 'dev': {folder}:train"
    )


def test_a_folder_that_is_no_data_set(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n")
    assert message(tmp_path) == (
        f"{tmp_path}: a folder, but not one that datasets' save_to_disk wrote (no dataset_dict.json, no state.json); "
        "it holds a.csv. Name a file in it"
    )


def test_a_broken_folder(dataset, tmp_path):
    dataset.save_to_disk(tmp_path / "d")
    (tmp_path / "d" / "dataset_info.json").write_text("{")
    assert message(tmp_path / "d").startswith(f"{tmp_path / 'd'}: the saved data set cannot be loaded: ")


def test_splits_as_a_value(dataset):
    assert read_rows(DatasetDict({"train": dataset})).texts[0] == "t0"
    assert "holds the splits a, b; name one" in message(DatasetDict({"a": dataset, "b": dataset}))


@pytest.mark.parametrize(
    ("source", "asked", "first_text"),
    [
        ("hub:x/y:test", ("x/y", None), "t5"),
        ("hub:x/y:en:test", ("x/y", "en"), "t5"),
        ("hub:x/y:en", ("x/y", "en"), None),
    ],
)
def test_the_hub(monkeypatch, dataset, source, asked, first_text):
    calls = []

    def load(name, config):
        calls.append((name, config))
        return DatasetDict({"train": dataset, "test": dataset.select([5])})

    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda name: ["en", "de"])
    monkeypatch.setattr(datasets, "load_dataset", load)
    if first_text is None:
        assert message(source) == f"{source} holds the splits train, test; name one: {source}:train"
    else:
        assert read_rows(source).texts[0] == first_text
    assert calls == [asked]


def test_the_hub_does_not_answer(monkeypatch):
    def load(name, config):
        raise ConnectionError("Couldn't reach 'x/y'\non the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert message("hub:x/y") == (
        "hub:x/y: cannot be fetched from the hub: ConnectionError: Couldn't reach 'x/y' on the Hub. Check the name and "
        "the connection, or save the data set to a file and name that"
    )


@pytest.mark.parametrize("source", ["hub:", "hub:a:b:c:d", "hub:a::b"])
def test_a_hub_name_of_no_known_form(source):
    assert message(source).startswith(f"{source}: write hub:NAME, hub:NAME:SPLIT")
