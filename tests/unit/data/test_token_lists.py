import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from submillion.data.token_lists import TokenLists

ROWS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), max_size=9)


@given(ROWS)
def test_it_reads_as_a_list_of_lists(rows):
    held = TokenLists.of(rows)
    assert held == rows
    assert [held[i] for i in range(-len(rows), len(rows))] == rows + rows
    assert held[1:7:2] == rows[1:7:2]
    assert held[::-1] == rows[::-1]
    assert all(type(number) is int for row in held for number in row)


@given(ROWS, st.integers(1, 10))
def test_a_cut_keeps_the_closing_token(rows, max_length):
    expected = [row if len(row) <= max_length else [*row[: max_length - 1], row[-1]] for row in rows]
    assert TokenLists.of(rows).cut(max_length) == expected


@given(ROWS, st.data())
def test_rows_are_taken_in_the_order_asked_for(rows, data):
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20)) if rows else []
    taken = TokenLists.of(rows).take(np.array(wanted, dtype=np.int64))
    assert taken == [rows[i] for i in wanted]
    assert taken[1:] == [rows[i] for i in wanted[1:]]


@given(st.lists(ROWS, max_size=4))
def test_parts_are_joined(parts):
    assert TokenLists.joined(map(TokenLists.of, parts)) == [row for rows in parts for row in rows]


def test_what_differs_is_not_equal():
    assert TokenLists.of([[1, 2]]) != TokenLists.of([[1], [2]])
    assert TokenLists.of([[1, 2]]) != TokenLists.of([[1, 3]])
    assert TokenLists.of([[1]]) != ((1,),)
