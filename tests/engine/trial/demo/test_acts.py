"""What is written by hand fits together: nobody and no phone is named that is not in the cast."""

import pytest

from engine.trial.demo import cast
from engine.trial.demo.acts import ACTS, Act
from engine.trial.demo.expected import screens
from rules.reasons import Reason

PEOPLE = {one.name for one in (*cast.STUDENTS, *cast.GUARDIANS)}
STUDENTS = {one.name for one in cast.STUDENTS}

every_act = pytest.mark.parametrize("act", ACTS, ids=lambda act: act.time)


@every_act
def test_an_act_shows_texts_on_phones_of_the_cast(act: Act) -> None:
    assert {one.phone for one in act.shows} <= cast.PHONES.keys()


@every_act
def test_an_act_asks_why_about_people_of_the_cast(act: Act) -> None:
    assert {one.student for one in act.why} <= STUDENTS
    assert {one.person for one in act.why} <= PEOPLE


def test_the_acts_follow_one_another_through_the_day() -> None:
    times = [act.time for act in ACTS]
    assert times == sorted(set(times))


def test_only_texts_that_came_before_are_replaced() -> None:
    screens(one for act in ACTS for one in act.shows)


def test_a_phone_whose_app_is_gone_shows_nothing() -> None:
    shown = {one.phone for act in ACTS for one in act.shows}
    assert shown.isdisjoint(cast.APP_REMOVED)


def test_the_acts_give_almost_every_reason_there_is() -> None:
    given = {one.reason for act in ACTS for one in act.why}
    never = {
        Reason.HELD,
        Reason.TOLD_APART,
        Reason.SUPERSEDED,
        Reason.KIND_NOT_SUPPORTED,
        Reason.KIND_WITHHELD,
        Reason.NO_NUMBER,
        Reason.TEXT_BLANK,
        Reason.TEMPLATE_INVALID,
        Reason.ALREADY_TOLD,
        Reason.NEVER_TOLD,
        Reason.HIDDEN,
        Reason.OPENS_LATER,
        Reason.CLOSED,
        Reason.TOO_LATE,
        Reason.UNDECIDABLE,
        Reason.BROADCASTS_OFF,
        Reason.CANCELLED,
    }
    assert given == set(Reason) - never


def test_sign_ins_and_wishes_are_of_people_of_the_cast() -> None:
    assert {one.name for one in cast.SIGN_INS} <= PEOPLE
    assert {one.phone for one in cast.SIGN_INS} == cast.PHONES.keys()
    assert {one.name for one in cast.WISHES} <= PEOPLE
    assert {one.student for one in cast.WISHES} <= STUDENTS
