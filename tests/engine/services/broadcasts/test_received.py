"""Why somebody got a message, or did not."""

from engine.services.broadcasts.received import received
from rules.change import PersonId, StudentId
from rules.outcomes import Verdict
from rules.reasons import Reason
from tests.broadcasting import Office
from tests.builders import an_outcome
from tests.district import ADA, BEN, CHEN, MOTHER, UNCLE, District


def asked(office: Office, student: str, person: str) -> list[tuple[str, Reason, int, int]]:
    return [
        (one.title, one.reason, one.phones.told, one.phones.accepted)
        for one in received(office.database, StudentId(student), PersonId(person))
    ]


def test_a_person_who_was_told_and_one_who_was_not(district: District) -> None:
    office = Office(district)
    pushes = office.told(ADA, BEN)
    district.record([an_outcome(one, Verdict.ACCEPTED) for one in pushes])

    assert asked(office, BEN, MOTHER) == [("Snow day", Reason.TOLD, 1, 1)]
    assert asked(office, ADA, UNCLE) == [("Snow day", Reason.RESTRICTED, 0, 0)]
    assert asked(office, CHEN, MOTHER) == []


def test_what_a_person_was_told_is_there_in_their_words(district: District) -> None:
    office = Office(district)
    office.told(ADA)

    (one,) = received(office.database, StudentId(ADA), PersonId(MOTHER))

    assert one.message is not None
    assert [dict(unit.variables) for unit in one.message.units] == [{"student_first_name": "Ada"}]
