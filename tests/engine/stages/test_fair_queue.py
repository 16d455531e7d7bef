"""A fair queue: lines keep their order, and none waits for the whole of another."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.stages.fair_queue import BROADCAST_AFTER, FairQueue, TwoLanes
from rules.lanes import Lane


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


# --- two lanes -----------------------------------------------------------------------------------


def lanes_of(*, news: str = "", broadcasts: str = "") -> TwoLanes[str]:
    """All of one district."""
    lanes: TwoLanes[str] = TwoLanes()
    for lane, letters in ((Lane.ORDINARY, news), (Lane.BROADCASTS, broadcasts)):
        for letter in letters:
            lanes[lane].append("district", letter)
    return lanes


def test_ordinary_news_goes_before_broadcasts_that_came_earlier() -> None:
    lanes = lanes_of(broadcasts="ABC")
    lanes[Lane.ORDINARY].append("district", "n")
    assert [lanes.take() for _ in range(len(lanes))] == ["n", "A", "B", "C"]


def test_while_both_wait_one_broadcast_goes_after_so_many_of_ordinary_news() -> None:
    lanes = lanes_of(news="n" * 3 * BROADCAST_AFTER, broadcasts="ABCD")
    turn = "n" * BROADCAST_AFTER
    taken = "".join(lanes.take() for _ in range(len(lanes)))
    assert taken == f"{turn}A{turn}B{turn}CD"


def test_news_that_comes_in_after_a_broadcast_waits_for_none_of_the_rest() -> None:
    lanes = lanes_of(broadcasts="ABCD")
    assert [lanes.take(), lanes.take()] == ["A", "B"]
    lanes[Lane.ORDINARY].append("district", "n")
    assert lanes.take() == "n"


def test_districts_take_turns_in_each_lane() -> None:
    lanes = lanes_of(news="ab", broadcasts="AB")
    lanes[Lane.ORDINARY].append("another", "x")
    lanes[Lane.BROADCASTS].append("another", "X")
    assert "".join(lanes.take() for _ in range(len(lanes))) == "axbAXB"


def test_what_is_over_goes_from_both_lanes() -> None:
    lanes = lanes_of(news="aab", broadcasts="aB")
    assert list(lanes.take_while(lambda item: item == "a")) == ["a", "a", "a"]
    assert "".join(lanes.take() for _ in range(len(lanes))) == "bB"
