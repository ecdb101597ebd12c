"""What is printed stays what it is."""

import io

import pytest

from submillion.terminal import Console


@pytest.mark.parametrize("how", [{}, {"markup": False}])
def test_the_name_of_an_emoji_is_printed_as_it_stands(how):
    file = io.StringIO()
    Console(file=file, width=80, **how).print("a label :cat: of the user")
    assert file.getvalue() == "a label :cat: of the user\n"
