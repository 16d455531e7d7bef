"""What the district chose, and what holds for it."""

from datetime import date

import pytest

from engine.store import district as settings
from rules.audience import Audience
from rules.change import Kind, SchoolId
from rules.gates import Circumstances
from tests.builders import TODAY
from tests.district import HIGH_SCHOOL, MIDDLE_SCHOOL, District


def circumstances(district: District, today: date = TODAY) -> Circumstances:
    found: Circumstances = district.read(settings.circumstances, today)
    return found


def show(district: District, *, shown: bool, school: str = HIGH_SCHOOL) -> None:
    district.app(
        settings.set_display_option,
        SchoolId(school),
        Kind.GRADE,
        Audience.STUDENT,
        shown=shown,
    )


def test_a_district_that_was_never_set_up_is_off(district: District) -> None:
    district.sis("DELETE FROM schoolbell_district")

    assert circumstances(district).enabled is False


def test_a_new_district_is_off_and_has_food_service(district: District) -> None:
    district.sis("DELETE FROM schoolbell_district")
    district.app(settings.create)

    holds = circumstances(district)

    assert (holds.enabled, holds.food_service) == (False, True)


def test_founding_it_again_changes_nothing(district: District) -> None:
    private = district.read(settings.privacy)

    district.app(settings.create, enabled=False, food_service=False)

    holds = circumstances(district)
    assert (holds.enabled, holds.food_service) == (True, True)
    assert district.read(settings.privacy) == private


def test_each_district_has_a_salt_of_its_own(district: District) -> None:
    def salt() -> str:
        district.sis("DELETE FROM schoolbell_district")
        district.app(settings.create)
        found: settings.Privacy = district.read(settings.privacy)
        return found.salt

    assert len({salt(), salt(), ""}) == 3


@pytest.mark.parametrize("enabled", [True, False])
def test_the_flag_is_what_was_set_last(district: District, enabled: bool) -> None:
    district.app(settings.set_enabled, enabled=not enabled)
    district.app(settings.set_enabled, enabled=enabled)

    assert district.read(settings.is_enabled) is enabled
    assert circumstances(district).enabled is enabled


def test_food_service_is_what_was_set(district: District) -> None:
    district.app(settings.set_food_service, food_service=False)

    assert circumstances(district).food_service is False


def test_the_calendars_of_the_active_year_are_active(district: District) -> None:
    assert circumstances(district).active_calendars == {"12": {"1": True}, "13": {"2": True}}


def test_what_was_never_chosen_is_shown(district: District) -> None:
    assert circumstances(district).options.hidden == frozenset()


def test_what_is_hidden_is_hidden_at_that_school_from_that_audience(district: District) -> None:
    show(district, shown=False)

    assert circumstances(district).options.hidden == {(HIGH_SCHOOL, Kind.GRADE, Audience.STUDENT)}


def test_what_is_shown_again_is_not_hidden(district: District) -> None:
    show(district, shown=False)
    show(district, shown=False, school=MIDDLE_SCHOOL)
    show(district, shown=True)

    assert {school for school, *_ in circumstances(district).options.hidden} == {MIDDLE_SCHOOL}


def test_today_is_handed_through(district: District) -> None:
    assert circumstances(district, date(2026, 12, 24)).today == date(2026, 12, 24)
