"""What the comparison of phones with the SIS finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from engine.trial.phones.devices import Received
from tests.acceptance.arrivals import Arrivals, Comparison, Difference, Text
from tests.acceptance.screens import Place, Score

PLACE = Place("token", "Biology 9: Quiz 1")
BEFORE, NOW = Score(91, PLACE, 17), Score(91, PLACE, 20)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def compared(
    came: Sequence[int], before: Sequence[Score] = (BEFORE,), on_screen: Sequence[int] | None = None
) -> Comparison:
    """What is found when these points came, and the last of them, or others, are on the screen."""
    arrivals = Arrivals()
    for number, points in zip(count(1), came, strict=False):
        arrivals.hear(_received(number, points))
    shown = came[-1:] if on_screen is None else on_screen
    screens = Counter((PLACE, float(points)) for points in shown)
    return arrivals.compare(before, [NOW], screens)


def test_every_text_in_order_is_right() -> None:
    assert compared([18, 19, 20]) == Comparison(texts=3, **_nothing_wrong())


def test_the_newest_text_alone_is_right() -> None:
    assert compared([20]).is_right


def test_an_older_text_on_the_screen_is_wrong() -> None:
    found = compared([18, 20, 19])

    assert found.wrong == [Difference(PLACE, 20, _texts(18, 20, 19))]
    assert found.late == [Text(19, _moment(3).timestamp())]


def test_a_newest_text_that_never_came_is_wrong() -> None:
    assert compared([18, 19]).wrong == [Difference(PLACE, 20, _texts(18, 19))]


def test_a_change_of_which_nothing_came_is_lost() -> None:
    assert compared([]).lost == [Difference(PLACE, 20, ())]


@pytest.mark.parametrize("points", [17, 21])
def test_points_that_the_sis_did_not_have_meanwhile_are_invented(points: int) -> None:
    assert compared([points, 20]).invented == [Difference(PLACE, 20, _texts(points, 20))]


def test_a_score_that_families_may_not_see_is_invented() -> None:
    assert compared([20], before=[]).invented == [Difference(PLACE, 20, _texts(20))]


def test_two_texts_of_one_place_are_shown_twice() -> None:
    assert compared([19, 20], on_screen=[19, 20]).twice == [Difference(PLACE, 20, _texts(19, 20))]


def test_a_text_that_comes_again_is_repeated_and_not_late() -> None:
    found = compared([19, 20, 20])

    assert (found.is_right, found.repeated, found.late) == (True, 1, [])


def _nothing_wrong() -> dict[str, list[Difference]]:
    return {what: [] for what in ("wrong", "lost", "invented", "twice", "late")}


def _texts(*points: int) -> tuple[Text, ...]:
    return tuple(Text(one, _moment(number).timestamp()) for number, one in enumerate(points, 1))


def _moment(number: int) -> datetime:
    return NOON + timedelta(seconds=number)


def _received(number: int, points: int) -> Received:
    return Received(
        number, _moment(number), "fcm", f"message-{number}", PLACE.token, "collapse-id",
        PLACE.title, f"You scored {points}/20 (was {points - 1}/20).", {}, visible=True,
    )  # fmt: skip
