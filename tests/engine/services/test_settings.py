"""What a district chooses, with who chose it: each change is in the audit log once."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from engine.database import Database
from engine.services import display_options, settings
from engine.services.actor import Actor
from engine.store import district as store
from engine.store.staff import audit
from rules.audience import Audience
from rules.change import Kind, SchoolId
from rules.privacy import Level
from tests.builders import NOW
from tests.district import HIGH_SCHOOL, District

BOSS = Actor("Boss", NOW)
LATER = Actor("Somebody else", NOW + timedelta(hours=1))
SCHOOL = SchoolId(HIGH_SCHOOL)

CHANGES: dict[str, Callable[[Database, Actor], object]] = {
    settings.ENABLED: settings.disable,
    settings.FOOD_SERVICE: lambda database, by: settings.set_food_service(
        database, by, offered=False
    ),
    settings.PRIVACY: lambda database, by: settings.set_privacy(database, by, Level.NAMED),
    settings.END_TO_END: lambda database, by: settings.set_end_to_end(database, by, sealed=True),
    display_options.ACT: lambda database, by: display_options.choose(
        database, by, SCHOOL, {(Kind.GRADE, Audience.STUDENT): False}
    ),
}


@pytest.mark.parametrize("act", CHANGES)
def test_a_change_is_told_with_who_made_it_and_what_was_before(
    district: District, act: str
) -> None:
    CHANGES[act](district.database, BOSS)

    entry = settings.last_changed(district.database, act)

    assert entry is not None
    assert (entry.who, entry.at) == ("Boss", NOW)
    assert entry.before != entry.after


@pytest.mark.parametrize("act", CHANGES)
def test_what_changes_nothing_is_not_told(district: District, act: str) -> None:
    CHANGES[act](district.database, BOSS)

    CHANGES[act](district.database, LATER)

    with district.database.read() as connection:
        assert [one.who for one in audit.newest(connection, act=act)] == ["Boss"]


def test_nobody_has_changed_what_was_never_changed(district: District) -> None:
    assert settings.last_changed(district.database, settings.ENABLED) is None


def test_what_is_chosen_is_shown_as_it_holds(district: District) -> None:
    for change in CHANGES.values():
        change(district.database, BOSS)

    chosen = settings.chosen(district.database)

    assert (chosen.enabled, chosen.food_service) == (False, False)
    assert (chosen.privacy.level, chosen.privacy.end_to_end) == (Level.NAMED, True)


def test_a_change_and_its_entry_are_one_transaction(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(audit, "add", broken)
    with pytest.raises(RuntimeError):
        settings.disable(district.database, BOSS)
    with district.database.read() as connection:
        assert store.is_enabled(connection)


def test_who_is_signed_in_to_stay_is_reached_and_nobody_else(district: District) -> None:
    before = settings.reach(district.database, NOW)
    phone = district.devices()
    with district.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE schoolbell_sessions SET stay_logged_in = FALSE WHERE device_id ="
            f" {min(map(int, phone.values()))}"
        )
    after = settings.reach(district.database, NOW)
    assert before.people - after.people >= 1
    assert before.devices - after.devices == 1
