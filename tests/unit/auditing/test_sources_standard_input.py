"""Standard input is one set of rows: named twice, every row would be a duplicate of itself."""

import pytest

from submillion.auditing.sources import read_splits
from submillion.errors import ConfigError


def test_standard_input_named_twice_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="'-' is named more than once: standard input holds one set of rows"
    ):
        read_splits([("-", "-"), ("test", "-")], None, None)
