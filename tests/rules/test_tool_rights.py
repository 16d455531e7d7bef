"""Tool rights: where each holds, and that taking away wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.change import SchoolId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import (
    EVERYTHING,
    EVERYWHERE,
    NOWHERE,
    OFFERED,
    Grant,
    GroupId,
    Right,
    Schools,
    Tool,
    ToolRights,
)

LINCOLN, OAK_HILL = SchoolId("1"), SchoolId("2")
WRITERS, OWN = GroupId("writers"), GroupId("")
SCHOOLS = st.sampled_from([EVERY_SCHOOL, LINCOLN, OAK_HILL])


def held(*grants: Grant, taken: tuple[Grant, ...] = ()) -> ToolRights:
    return ToolRights(dict.fromkeys(grants, (WRITERS,)), frozenset(taken))


def classes(right: Right = Right.SEND, school: SchoolId = EVERY_SCHOOL) -> Grant:
    return Grant(Tool.CLASSES, right, school)


def test_a_right_for_the_district_holds_at_every_school() -> None:
    rights = held(classes())
    assert rights.may(*classes())
    assert rights.may(*classes(school=LINCOLN))


def test_a_right_for_one_school_holds_there_alone() -> None:
    rights = held(classes(school=LINCOLN))
    assert rights.may(*classes(school=LINCOLN))
    assert not rights.may(*classes(school=OAK_HILL))
    assert not rights.may(*classes())
    assert rights.may_somewhere(Tool.CLASSES, Right.SEND)


def test_another_right_for_the_same_tool_is_none() -> None:
    rights = held(classes(Right.READ))
    assert not rights.may(*classes(Right.SEND))
    assert not rights.may_somewhere(Tool.CLASSES, Right.SEND)


def test_what_is_taken_away_at_one_school_holds_at_the_others() -> None:
    rights = held(classes(), taken=(classes(school=OAK_HILL),))
    assert rights.may(*classes(school=LINCOLN))
    assert not rights.may(*classes(school=OAK_HILL))
    assert not rights.may(*classes()), "the whole district includes that school"


def test_what_is_taken_away_for_the_district_holds_nowhere() -> None:
    rights = held(classes(), classes(school=LINCOLN), taken=(classes(),))
    assert not rights.may_somewhere(Tool.CLASSES, Right.SEND)
    assert not rights.in_force(classes(school=LINCOLN))


GRANTS = st.builds(Grant, st.just(Tool.CLASSES), st.sampled_from([Right.READ, Right.SEND]), SCHOOLS)


@given(st.frozensets(GRANTS), st.frozensets(GRANTS), GRANTS, GRANTS)
def test_taking_away_never_adds_and_giving_never_removes(
    given_: frozenset[Grant], taken: frozenset[Grant], one: Grant, asked: Grant
) -> None:
    now = held(*given_, taken=tuple(taken)).may(*asked)
    assert held(*given_, taken=(*taken, one)).may(*asked) <= now
    assert held(*given_, one, taken=tuple(taken)).may(*asked) >= now


def test_an_administrator_has_every_right_that_there_is() -> None:
    rights = ToolRights(dict.fromkeys(EVERYTHING, (WRITERS,)))
    assert all(rights.may(tool, right) for tool, offered in OFFERED.items() for right in offered)


def test_what_reaches_families_or_gives_rights_needs_a_second_factor() -> None:
    assert classes(Right.SEND).needs_second_factor
    assert Grant(Tool.STAFF, Right.WRITE).needs_second_factor
    assert Grant(Tool.PUSH_NOTIFICATIONS, Right.WRITE).needs_second_factor
    assert Grant(Tool.BROADCASTS, Right.APPROVE).needs_second_factor
    assert not classes(Right.READ).needs_second_factor


def test_there_is_no_right_that_a_tool_does_not_offer() -> None:
    assert not Grant(Tool.MONITOR, Right.WRITE).is_offered
    assert not Grant(Tool.STAFF, Right.WRITE, LINCOLN).is_offered
    assert Grant(Tool.CLASSES, Right.SEND, LINCOLN).is_offered


LINCOLN_ALONE, BUT_OAK_HILL = (
    Schools(frozenset({LINCOLN})),
    Schools(frozenset(), but_not=frozenset({OAK_HILL}), everywhere=True),
)


@pytest.mark.parametrize(
    ("one", "other", "covers", "both"),
    [
        (EVERYWHERE, LINCOLN_ALONE, True, LINCOLN_ALONE),
        (LINCOLN_ALONE, EVERYWHERE, False, LINCOLN_ALONE),
        (EVERYWHERE, EVERYWHERE, True, EVERYWHERE),
        (EVERYWHERE, BUT_OAK_HILL, True, BUT_OAK_HILL),
        (BUT_OAK_HILL, EVERYWHERE, False, BUT_OAK_HILL),
        (BUT_OAK_HILL, LINCOLN_ALONE, True, LINCOLN_ALONE),
        (BUT_OAK_HILL, Schools(frozenset({OAK_HILL})), False, NOWHERE),
        (LINCOLN_ALONE, NOWHERE, True, NOWHERE),
        (NOWHERE, LINCOLN_ALONE, False, NOWHERE),
    ],
)
def test_schools_of_two_rights(one: Schools, other: Schools, covers: bool, both: Schools) -> None:
    assert one.covers(other) is covers
    assert one.both(other) == both
