"""Following: how far a message is, and what became of it for everybody."""

import csv
import io
from collections.abc import Sequence

import pytest

from engine.services import exports
from engine.services.broadcasts import following
from engine.services.broadcasts.refusals import NotThere
from engine.store.recipients import Phones
from engine.wire.messages import Push
from rules.broadcasts import BroadcastId
from rules.change import SchoolId
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, NOWHERE, Schools
from tests.broadcasting import Office
from tests.builders import an_outcome
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    BEN_HIMSELF,
    FATHER,
    HIGH_SCHOOL,
    MIDDLE_SCHOOL,
    MOTHER,
    District,
)
from tests.exporting import exported

MIDDLE = Schools(frozenset({SchoolId(MIDDLE_SCHOOL)}))
HIGH = Schools(frozenset({SchoolId(HIGH_SCHOOL)}))
BOTH = Schools(MIDDLE.only | HIGH.only)
BUT_HIGH = Schools(frozenset(), but_not=HIGH.only, everywhere=True)


@pytest.fixture
def office(district: District) -> Office:
    return Office(district)


def answered(office: Office, pushes: Sequence[Push]) -> None:
    """The mother's phone takes it, and the father's is gone."""
    phones = office.district.devices()
    verdicts = {
        phones[MOTHER]: (Verdict.ACCEPTED, ""),
        phones[FATHER]: (Verdict.UNREGISTERED, "UNREGISTERED"),
        phones[ADA_HERSELF]: (Verdict.DEFERRED, "UNAVAILABLE"),
    }
    office.district.record(
        [
            an_outcome(one, verdicts[one.device_id][0], reason=verdicts[one.device_id][1])
            for one in pushes
        ]
    )


def test_progress_counts_while_it_goes(office: Office) -> None:
    name = office.send()
    before = following.progress(office.database, name)
    office.expand()
    expanded = following.progress(office.database, name)
    answered(office, office.tell())
    after = following.progress(office.database, name)

    assert (before.is_expanded, before.recipients) == (False, 0)
    assert (expanded.is_expanded, expanded.recipients, expanded.waiting) == (True, 7, 3)
    assert (expanded.told, expanded.silent) == (0, 4)
    assert (after.told, after.waiting, after.silent, after.faulty) == (3, 0, 4, 0)
    assert after.phones == Phones(3, 1, 1)


def test_each_recipient_has_a_name_a_reason_and_what_their_phones_said(office: Office) -> None:
    name = office.send()
    answered(office, office.tell())

    found = {
        one.person: one for one in following.became(office.database, name, EVERYWHERE, limit=3)
    }
    rest = following.became(office.database, name, EVERYWHERE, after=max(found))

    assert len(found) == 3
    assert len(rest) == 4
    found |= {one.person: one for one in rest}
    mother = found[MOTHER]
    assert (mother.name, mother.reason, mother.phones) == (
        "Lucía Reyes", Reason.TOLD, Phones(1, 1, 0),
    )  # fmt: skip
    assert set(mother.students.values()) == {"Ada Reyes", "Ben Reyes"}
    assert found[FATHER].phones == Phones(1, 0, 1)
    assert found[BEN_HIMSELF].reason is Reason.NO_ACCOUNT


def test_staff_of_a_school_see_what_concerns_its_students(office: Office) -> None:
    name = office.send()
    office.tell()

    found = following.became(office.database, name, MIDDLE)

    assert {one.person for one in found} == {MOTHER, BEN_HIMSELF}
    assert all(list(one.students) == [BEN] for one in found)


def test_figures_of_a_school_are_of_whom_it_reached_there(office: Office) -> None:
    name = office.send()
    answered(office, office.tell())

    of_middle = following.progress(office.database, name, MIDDLE)
    of_both = following.progress(office.database, name, BOTH)
    but_high = following.progress(office.database, name, BUT_HIGH)

    assert of_middle.by_reason == {Reason.TOLD: 1, Reason.NO_ACCOUNT: 1}
    assert of_middle.phones == Phones(1, 1, 0)
    assert (but_high.by_reason, but_high.phones) == (of_middle.by_reason, of_middle.phones)
    assert (of_both.recipients, of_both.told, of_both.phones) == (7, 3, Phones(3, 1, 1))


def test_whom_it_reached_stays_with_the_school_and_who_has_gone_on_has_no_name_there(
    office: Office,
) -> None:
    """Ben goes to the high school after the message; later the SIS does not list him any more."""
    name = office.send()
    office.tell()

    office.district.sis(f"UPDATE schoolbell_students SET school_id = '1' WHERE id = '{BEN}'")
    moved = following.became(office.database, name, MIDDLE)
    new = following.became(office.database, name, HIGH)
    office.district.sis(f"DELETE FROM schoolbell_students WHERE id = '{BEN}'")
    gone = following.became(office.database, name, MIDDLE)

    for found in (moved, gone):
        assert [one.person for one in found] == [BEN_HIMSELF, MOTHER]
        assert [dict(one.students) for one in found] == [{BEN: ""}, {BEN: ""}]
        assert {one.name for one in found} == {""}
        assert {one.reason for one in found} == {Reason.TOLD, Reason.NO_ACCOUNT}
    assert all(BEN not in one.students for one in new)
    assert following.progress(office.database, name, MIDDLE).recipients == 2


def test_what_was_sent_for_one_school_reaches_no_other(office: Office) -> None:
    """Ada has lessons at both schools."""
    office.district.sis(
        "INSERT INTO schoolbell_students"
        " SELECT id, '2', person_id, enrolled, first_name, last_name, born, identity"
        f" FROM schoolbell_students WHERE id = '{ADA}'"
    )
    of_high = office.send(ADA, schools=HIGH)
    of_all = office.send(ADA)
    office.tell()

    assert following.that_reached(office.database, [of_high, of_all], MIDDLE) == {of_all}
    assert following.that_reached(office.database, [of_high, of_all], HIGH) == {of_high, of_all}
    assert following.progress(office.database, of_all, BOTH).recipients == 6


def test_nothing_has_reached_a_school_before_it_is_expanded(office: Office) -> None:
    name = office.send()
    assert not following.that_reached(office.database, [name], MIDDLE)
    office.expand()
    assert following.that_reached(office.database, [name], MIDDLE) == {name}
    assert not following.that_reached(office.database, [name], NOWHERE)


def test_recipients_are_found_by_their_reason(office: Office) -> None:
    name = office.send()
    office.tell()

    found = following.became(office.database, name, EVERYWHERE, reasons=[Reason.RESTRICTED])

    assert [one.reason for one in found] == [Reason.RESTRICTED]


def test_all_of_it_is_a_table_for_a_spreadsheet(office: Office) -> None:
    office.district.sis("UPDATE schoolbell_people SET first_name = '=1+1' WHERE id = '35'")
    name = office.send()
    answered(office, office.tell())

    text = exported(office.database, exports.of_recipients(name, EVERYWHERE))
    rows = list(csv.DictReader(io.StringIO(text)))

    assert len(rows) == 7
    father = next(row for row in rows if row["person"] == FATHER)
    assert (father["name"], father["reason"], father["refused"]) == ("'=1+1 Reyes", "TOLD", "1")


def test_what_nobody_sent_cannot_be_followed(office: Office) -> None:
    with pytest.raises(NotThere):
        following.progress(office.database, BroadcastId("00000000-0000-7000-8000-000000000000"))
