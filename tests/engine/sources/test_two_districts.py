"""Two installations capture in one SIS: each hears what it watches, and takes away its own."""

import pytest

from engine.dialects.dialect import Owner
from engine.errors import Misconfigured
from engine.ports import Outbox
from engine.sources.capture import Capture
from engine.sources.definition import Definition
from tests.engine.sources.sis import OWNER, SCORE, Sis, a_definition, a_watch

OTHER = "CREATE TABLE meal (id integer PRIMARY KEY, balance numeric)"
NORTH, NORTH_TRIAL = Owner("north", "token of north"), Owner("north-trial", "token of the trial")
SAME_NAME = Owner(OWNER.district, "token of another engine")
MEALS = a_definition(a_watch("meal", table="meal", columns=("balance",)))
LONG = "a-district-whose-name-is-as-long-as-may-"


@pytest.fixture
def school(empty_sis: Sis) -> Sis:
    """A SIS with two tables and nobody who captures."""
    empty_sis.write(SCORE, OTHER)
    return empty_sis


def capture(school: Sis, owner: Owner, definition: Definition | None = None) -> Capture:
    """What this owner captures."""
    return Capture(school.database, definition or a_definition(), owner)


def heard(school: Sis, owner: Owner) -> list[str]:
    """What waits in an owner's outbox: the watch and key of each change."""
    outbox = acquired(school, owner)
    found = [f"{change.watch} {change.key}" for change in outbox.read(100)]
    outbox.release()
    return found


def acquired(school: Sis, owner: Owner) -> Outbox:
    """The outbox of the one relay of this owner."""
    outbox = school.outbox(owner)
    assert outbox.acquire()
    return outbox


def test_each_hears_the_changes_of_its_own_definition_only(school: Sis) -> None:
    capture(school, NORTH).install()
    capture(school, NORTH_TRIAL, MEALS).install()
    school.write("INSERT INTO score VALUES (1, 7, NULL)", "INSERT INTO meal VALUES (2, 5)")
    assert (heard(school, NORTH), heard(school, NORTH_TRIAL)) == (["score 1"], ["meal 2"])


def test_both_hear_a_change_that_both_watch(school: Sis) -> None:
    capture(school, NORTH).install()
    capture(school, NORTH_TRIAL).install()
    school.write("INSERT INTO score VALUES (1, 7, NULL)")
    assert (heard(school, NORTH), heard(school, NORTH_TRIAL)) == (["score 1"], ["score 1"])


def test_what_one_has_relayed_still_waits_for_the_other(school: Sis) -> None:
    capture(school, NORTH).install()
    capture(school, NORTH_TRIAL).install()
    school.write("INSERT INTO score VALUES (1, 7, NULL)")
    outbox = acquired(school, NORTH)
    outbox.mark_relayed(outbox.read(10))
    assert (outbox.read(10), heard(school, NORTH_TRIAL)) == ([], ["score 1"])


def test_both_are_relayed_at_the_same_time(school: Sis) -> None:
    capture(school, NORTH).install()
    capture(school, NORTH_TRIAL).install()
    assert (school.outbox(NORTH).acquire(), school.outbox(NORTH_TRIAL).acquire()) == (True, True)


def test_the_second_leaves_the_triggers_of_the_first_in_place(school: Sis) -> None:
    first = capture(school, NORTH)
    first.install()
    capture(school, NORTH_TRIAL, MEALS).install()
    assert [finding.state for finding in first.check()] == ["in place"]


@pytest.mark.parametrize(("gone", "stays"), [(NORTH, NORTH_TRIAL), (NORTH_TRIAL, NORTH)])
def test_who_removes_takes_away_its_own_only(school: Sis, gone: Owner, stays: Owner) -> None:
    capture(school, gone).install()
    capture(school, stays).install()
    capture(school, gone).remove()
    school.write("INSERT INTO score VALUES (1, 7, NULL)")
    assert ([one.state for one in capture(school, gone).check()], heard(school, stays)) == (
        ["missing"],
        ["score 1"],
    )


def test_installing_again_changes_nothing_for_the_other(school: Sis) -> None:
    capture(school, NORTH).install()
    capture(school, NORTH_TRIAL).install()
    school.write("INSERT INTO score VALUES (1, 7, NULL)")
    capture(school, NORTH, MEALS).install()
    assert (heard(school, NORTH), heard(school, NORTH_TRIAL)) == (["score 1"], ["score 1"])


def test_names_that_begin_alike_and_are_long_are_kept_apart(school: Sis) -> None:
    watch = a_watch("a-watch-whose-name-is-as-long-as-may-be-")
    alike = [Owner(f"{LONG[:-1]}{end}", end) for end in "ab"]
    for owner in alike:
        capture(school, owner, a_definition(watch)).install()
    capture(school, alike[0], a_definition(watch)).remove()
    school.write("INSERT INTO score VALUES (1, 7, NULL)")
    assert heard(school, alike[1]) == [f"{watch.name} 1"]


class TestOneNameForTwo:
    """Two engines whose districts have one name are told so, and touch nothing of each other."""

    @pytest.fixture
    def taken(self, school: Sis) -> Sis:
        """A SIS in which the first of the two captures."""
        capture(school, OWNER).install()
        return school

    @pytest.mark.parametrize("act", ["install", "require", "remove"])
    def test_the_second_is_refused_with_the_remedy(self, taken: Sis, act: str) -> None:
        with pytest.raises(Misconfigured) as refused:
            getattr(capture(taken, SAME_NAME), act)()
        assert "a district named district" in refused.value.problem
        assert "`id` in [district]" in refused.value.remedy

    def test_the_second_cannot_read_the_outbox_of_the_first(self, taken: Sis) -> None:
        with pytest.raises(Misconfigured, match="Another installation"):
            taken.outbox(SAME_NAME).acquire()

    def test_the_first_goes_on(self, taken: Sis) -> None:
        with pytest.raises(Misconfigured):
            capture(taken, SAME_NAME, MEALS).install()
        taken.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert heard(taken, OWNER) == ["score 1"]

    def test_what_an_engine_left_that_is_no_more_can_be_taken_over(self, taken: Sis) -> None:
        taken.write("INSERT INTO score VALUES (1, 7, NULL)")
        capture(taken, SAME_NAME).install(take_over=True)
        assert heard(taken, SAME_NAME) == ["score 1"]
