"""Turns: lines keep their order, and none waits for the whole of another."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gateways.fair_queue import Turns


def lines(**items: str) -> Turns[str]:
    """A line for each name, of one item for each letter."""
    turns: Turns[str] = Turns()
    for whose, letters in items.items():
        for letter in letters:
            turns.append(whose, letter)
    return turns


def taken(turns: Turns[str]) -> str:
    return "".join(turns.take() for _ in range(len(turns)))


def test_lines_take_turns() -> None:
    assert taken(lines(storm="abcd", quiet="X")) == "aXbcd"
    assert taken(lines(one="abc", two="XYZ")) == "aXbYcZ"


def test_who_comes_late_waits_for_one_of_each_other() -> None:
    turns = lines(storm="abcdefgh", other="123")
    assert [turns.take() for _ in range(2)] == ["a", "1"]
    turns.append("late", "L")
    assert [turns.take() for _ in range(3)] == ["b", "2", "L"]


def test_what_is_put_back_is_first_of_its_line() -> None:
    turns = lines(one="abc", two="X")
    first = turns.take()
    turns.put_back("one", first)
    assert taken(turns) in {"Xabc", "aXbc"}


def test_the_newest_of_the_longest_line_goes() -> None:
    turns = lines(storm="abc", quiet="XY")
    assert turns.take_newest() == "c"
    assert sorted(turns) == ["X", "Y", "a", "b"]


def test_what_is_over_goes_from_the_head_of_each_line() -> None:
    turns = lines(one="aab", two="aXa", three="aa")
    assert list(turns.take_while(lambda item: item == "a")) == ["a", "a", "a", "a", "a"]
    assert sorted(turns) == ["X", "a", "b"]
    assert len(turns) == 3


def test_nothing_is_there_to_take_from_nothing() -> None:
    turns = lines(one="a")
    turns.clear()
    assert len(turns) == 0
    with pytest.raises(StopIteration):
        turns.take()


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers())))
def test_nothing_is_lost_and_each_line_keeps_its_order(items: list[tuple[str, int]]) -> None:
    turns: Turns[tuple[str, int]] = Turns()
    for item in items:
        turns.append(item[0], item)
    assert Counter(turns) == Counter(items)
    found = [turns.take() for _ in range(len(turns))]
    for whose in "xyz":
        assert [one for one in found if one[0] == whose] == [
            one for one in items if one[0] == whose
        ]
