"""A fair queue: lines keep their order, and none waits for the whole of another."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.stages.fair_queue import FairQueue


def queue_of(**items: str) -> FairQueue[str]:
    """A line for each name, of one item for each letter."""
    queue: FairQueue[str] = FairQueue()
    for whose, letters in items.items():
        for letter in letters:
            queue.append(whose, letter)
    return queue


def taken(queue: FairQueue[str]) -> str:
    return "".join(queue.take() for _ in range(len(queue)))


def test_lines_take_turns() -> None:
    assert taken(queue_of(storm="abcd", quiet="X")) == "aXbcd"
    assert taken(queue_of(one="abc", two="XYZ")) == "aXbYcZ"


def test_who_comes_late_waits_for_one_of_each_other() -> None:
    queue = queue_of(storm="abcdefgh", other="123")
    assert [queue.take() for _ in range(2)] == ["a", "1"]
    queue.append("late", "L")
    assert [queue.take() for _ in range(3)] == ["b", "2", "L"]


def test_each_line_is_known_by_its_length_and_its_first_item() -> None:
    queue = queue_of(one="abc", two="X")
    assert (queue.lines, queue.line("one"), queue.line("nobody")) == (2, 3, 0)
    assert (queue.first("one"), queue.first("nobody")) == ("a", None)


def test_what_is_over_goes_from_the_head_of_each_line() -> None:
    queue = queue_of(one="aab", two="aXa", three="aa")
    assert list(queue.take_while(lambda item: item == "a")) == ["a", "a", "a", "a", "a"]
    assert sorted(queue) == ["X", "a", "b"]
    assert len(queue) == 3


def test_a_line_that_is_forgotten_leaves_the_others_alone() -> None:
    queue = queue_of(one="abc", two="XY")
    queue.clear("one")
    queue.clear("nobody")
    assert taken(queue) == "XY"


def test_nothing_is_there_to_take_from_nothing() -> None:
    queue = queue_of(one="a")
    queue.clear("one")
    assert len(queue) == 0
    with pytest.raises(StopIteration):
        queue.take()


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers())))
def test_nothing_is_lost_and_each_line_keeps_its_order(items: list[tuple[str, int]]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for item in items:
        queue.append(item[0], item)
    assert Counter(queue) == Counter(items)
    found = [queue.take() for _ in range(len(queue))]
    for whose in "xyz":
        assert [one for one in found if one[0] == whose] == [
            one for one in items if one[0] == whose
        ]
