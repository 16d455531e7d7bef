"""How a message looks to somebody who would get it: in their language, on their lock screen."""

from __future__ import annotations

import pytest

from engine.services import people, settings
from engine.services.broadcasts import previewing
from engine.services.broadcasts.previewing import Preview
from engine.services.broadcasts.writing import Texts, typed
from engine.store import app, devices
from rules.change import Kind, PersonId, StudentId
from rules.privacy import Level
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, NOWHERE, Schools
from rules.wording import Text, TextFault, Wording
from tests.broadcasting import ALICE, Office, of_students
from tests.district import ADA, BEN, MOTHER, District

SNOW = typed({
    "title-en": "Snow", "message-en": "No school for {{ student_first_name }}.",
    "title-es": "Nieve", "message-es": "{{ student_first_name }} no tiene clase.",
})  # fmt: skip


@pytest.fixture
def office(district: District) -> Office:
    settings.set_privacy(district.database, ALICE, Level.FULL)
    return Office(district)


def look(
    office: Office, texts: Texts = SNOW, number: int = 0, schools: Schools = EVERYWHERE
) -> Preview | None:
    return previewing.preview(
        office.database, office.find, Wording(), of_students(ADA, BEN), texts, schools,
        office.now().at, number=number,
    )  # fmt: skip


def everybody(office: Office) -> list[Preview]:
    first = look(office)
    assert first
    found = [look(office, number=number) for number in range(first.people)]
    return [one for one in found if one]


def test_each_who_would_be_told_is_shown_in_their_language(office: Office) -> None:
    found = everybody(office)
    assert len({one.person for one in found}) == len(found) == 3
    said = {one.person: one.text for one in found}
    assert said["Lucía Reyes"] == Text("Nieve", "Ada, Ben no tiene clase.")
    assert Text("Snow", "No school for Ada.") in said.values()
    again = look(office, number=3)
    assert again
    assert again.person == found[0].person


def test_a_lock_screen_shows_no_more_than_the_district_and_the_phone_allow(
    district: District, office: Office
) -> None:
    settings.set_privacy(district.database, ALICE, Level.NAMED)
    named = look(office)
    assert named
    assert named.level is Level.NAMED
    assert named.lock_screen
    assert "Ada" not in "".join(named.lock_screen)
    assert isinstance(named.text, Text)
    assert "Ada" in named.text.body
    settings.set_privacy(district.database, ALICE, Level.FULL)
    with district.database.write() as connection:
        for device in app.devices_of(connection, PersonId(MOTHER), office.now().at):
            devices.set_level(connection, device, Level.GENERIC)
    mother = next(one for one in everybody(office) if one.person == "Lucía Reyes")
    assert mother.level is Level.GENERIC


def test_a_text_that_comes_out_blank_is_shown_as_that(office: Office) -> None:
    found = look(office, typed({"title-en": "{{ student_homeroom }}", "message-en": "x"}))
    assert found
    assert isinstance(found.text, TextFault)
    assert found.text.reason is Reason.TEXT_BLANK
    assert found.lock_screen is None


def test_who_is_not_told_is_not_shown(district: District, office: Office) -> None:
    for student in (ADA, BEN):
        people.subscribe(
            district.database, PersonId(MOTHER), StudentId(student), Kind.BROADCAST, enabled=False,
        )  # fmt: skip
    assert "Lucía Reyes" not in {one.person for one in everybody(office)}
    assert look(office, schools=NOWHERE) is None
    settings.disable(district.database, ALICE)
    assert look(office) is None
