"""One training in a folder that is thrown away, measured on its test rows."""

import tempfile
from typing import Any

import submillion


def train_and_test(train: Any, test: Any, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `run.json` and the report of the test rows.

    Args:
        train: Labelled rows.
        test: Labelled rows.
        fields: Arguments of `submillion.train`.
    """
    with tempfile.TemporaryDirectory() as folder:
        record = submillion.train(train, test=test, output=f"{folder}/run", quiet=True, **fields)
        return record, submillion.evaluate(f"{folder}/run", test)
