"""Conditions that nobody can read: they give nothing, and an alarm says so."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from engine.sources.definition import Definition, Query
from engine.sources.loading import load
from rules.change import Kind
from rules.reasons import Reason
from tests.builders import a_change
from tests.district import FATHER, UNIT_TEST, District, scored

REFERENCE = load("reference")
SAYS = "is neither yes nor no. It counts as no: nobody is told because of it."


def facts_where(column: str, says: str) -> Definition:
    """The facts of scores with a *column* that says something else."""
    others = "score_id, assignment_id, record, student_id, school_id, calendar_id, value, out_of"
    released = "" if column == "released" else ", released"
    query = REFERENCE.facts["assignment"].query
    whole = f"SELECT {others}{released}, {says} AS {column} FROM ({query}) s"
    return replace(REFERENCE, facts={**REFERENCE.facts, "assignment": Query(query=whole)})


def conditions(district: District) -> dict[str, str]:
    return {one.subject: one.problem for one in district.alarms() if one.kind == "condition"}


def test_a_release_that_is_no_flag_is_an_alarm_with_its_query_column_and_count(
    district: District,
) -> None:
    district.speak(facts_where("released", "'perhaps'"))
    one, other = scored(9, 17), scored(5, 9, "93")

    district.evaluate(one, other)

    assert district.reasons(one)[FATHER] is Reason.NOT_RELEASED
    [(subject, problem)] = conditions(district).items()
    assert subject.startswith("The query [facts.assignment], line ")
    assert subject.endswith(" released")
    assert f"gave 2 rows whose released {SAYS}" in problem


def test_a_day_that_is_none_is_an_alarm(district: District) -> None:
    district.speak(facts_where("visible_from", "'soon'"))

    district.evaluate(scored(9, 17))

    [problem] = conditions(district).values()
    assert "gave 1 row whose visible_from or visible_until is no day and no moment" in problem


def test_a_flag_of_the_changed_row_is_an_alarm(district: District) -> None:
    change = a_change("assignment-release", UNIT_TEST, {"released": False}, {"released": "soon"})

    district.evaluate(change)

    [(subject, problem)] = conditions(district).items()
    assert subject.startswith("The table of [[watch]] assignment-release, line ")
    assert f"gave 1 row whose released {SAYS}" in problem


@pytest.mark.parametrize("says", ["'Y '", "'n'", "CAST(NULL AS text)"])
def test_what_is_understood_is_none(district: District, says: str) -> None:
    district.speak(facts_where("released", says))

    district.evaluate(scored(9, 17))

    assert district.alarms() == []


def test_it_is_over_by_itself(district: District) -> None:
    district.speak(facts_where("released", "'perhaps'"))
    district.evaluate(scored(9, 17))
    district.clock.forward(timedelta(hours=25))

    assert conditions(district) == {}


def test_facts_that_nobody_reads_and_words_that_none_gives_are_pointed_at(
    district: District,
) -> None:
    district.speak(facts_where("room", "'12'"))

    remarks = [
        one
        for one in district.source.remarks(dict.fromkeys(Kind, ("student", "course")))
        if "[facts.assignment]" in one
    ]

    assert [one.split(", line")[0] for one in remarks] == [
        "[facts.assignment]",
        "Texts about assignment use course, which [facts.assignment]",
    ]
    assert "gives room, which no text and no setting uses." in remarks[0]
    assert remarks[1].endswith("does not give: there they say nothing.")
