"""Devices: found by a keyed hash, read by the keyring alone, sealed anew with a new key."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from sqlalchemy import func, select

from engine.database import Database
from engine.errors import ConfigError, Misconfigured, SchoolbellError
from engine.secrets import keyring
from engine.secrets.addresses import Opened, opened
from engine.secrets.keyring import Key, Keyring
from engine.services import keys
from engine.services.keys import Rotation, finish_rotation, rotate
from engine.stages.composing import Composer
from engine.stages.reporting import KEY_ALARM
from engine.store import app, migrate
from engine.store import devices as store
from engine.store.tables import devices, sessions
from engine.wire.messages import Push, Token
from rules.audience import DeviceId
from rules.change import PersonId
from rules.privacy import Level
from rules.wording import Wording
from tests.builders import NOW
from tests.district import (
    GRANDMOTHER,
    KEYRING,
    KEYS,
    MOTHER,
    TOKENS,
    District,
    scored,
)

LATER_KEY: Final = Key("11111111", NOW, b"\x01" * 32)
PUSH_KEY: Final = bytes(range(100, 132))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The keyring of the small district."""
    file = tmp_path / "schoolbell.keys"
    keyring.write(file, KEYS)
    return file


def register(district: District, ring: Keyring, token: Token, key: bytes | None = None) -> str:
    device: str = district.app(store.register, ring, token, key, NOW)
    return device


def addresses(district: District, ring: Keyring) -> dict[str, Token]:
    """Every device's address, as this keyring reads it."""
    found = district.rows(select(*store.COLUMNS))
    return {str(row[0]): opened(ring, store.device(*row)).token for row in found}


def uses(district: District) -> dict[str, int]:
    return dict(district.read(store.uses))


def keys_of(file: Path) -> list[str]:
    return [key.id for key in keyring.read(file)]


_points = itertools.count(10)


def pushes_by(district: District, ring: Keyring) -> list[Push]:
    """What a running engine with this keyring makes of a score that nobody was told yet."""
    district.composer = Composer(district.settings.id, Wording(), ring)
    district.speak(district.source.definition)
    return list(district.evaluate(scored(9, next(_points))))


# At rest


def test_neither_a_token_nor_a_key_stands_in_the_database(district: District) -> None:
    register(district, KEYRING, Token("apns", "a-token-of-a-phone"), PUSH_KEY)

    stored = repr(district.rows(select(devices)))

    assert "a-token-of-a-phone" not in stored
    assert repr(PUSH_KEY)[2:-1] not in stored


def test_a_device_is_found_by_its_address_whatever_key_it_was_sealed_with(
    district: District,
) -> None:
    before = register(district, KEYRING, TOKENS[MOTHER])

    again = register(district, Keyring(lambda: [LATER_KEY, *KEYS]), TOKENS[MOTHER])

    assert again == before == district.devices()[MOTHER]
    assert uses(district) == {LATER_KEY.id: 1, KEYS[0].id: 2}


def test_who_registers_reads_the_keyring_again(district: District) -> None:
    """A key that a rotation has just replaced must not be used any more."""
    keys: list[Key] = list(KEYS)
    ring = Keyring(lambda: keys)
    keys[:] = [LATER_KEY, *KEYS]

    register(district, ring, Token("apns", "a-new-phone"))

    assert uses(district)[LATER_KEY.id] == 1


def test_an_app_that_holds_no_key_any_more_has_none_here(district: District) -> None:
    token = Token("apns", "a-new-phone")
    device = register(district, KEYRING, token, PUSH_KEY)

    def key() -> bytes | None:
        (row,) = district.rows(select(*store.COLUMNS).where(devices.c.id == int(device)))
        return opened(KEYRING, store.device(*row)).push_key

    with_key = key()
    register(district, KEYRING, token)

    assert (with_key, key()) == (PUSH_KEY, None)


def test_what_is_secret_of_a_device_does_not_show() -> None:
    shown = repr(Opened(Token("apns", "a-token-of-a-phone"), PUSH_KEY))

    assert shown == "Opened(Token(apns))"


def test_a_level_is_kept_when_the_app_starts_again(district: District) -> None:
    device = DeviceId(district.devices()[MOTHER])
    district.app(store.set_level, device, Level.NAMED)
    register(district, KEYRING, TOKENS[MOTHER])

    found = district.rows(select(devices.c.privacy).where(devices.c.id == int(device)))

    assert found == [("named",)]


def test_a_device_that_is_not_there_cannot_choose(district: District) -> None:
    with pytest.raises(SchoolbellError, match="no device 999"):
        district.app(store.set_level, DeviceId("999"), Level.NAMED)


# Making the keyring


def test_a_new_district_gets_a_keyring_once(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "schoolbell.keys"
    database = Database(database_url)
    migrate.upgrade(database)

    keys.make(database, file, NOW)
    made = keys_of(file)
    keys.make(database, file, NOW)
    database.close()

    assert len(made) == 1
    assert keys_of(file) == made


def test_a_lost_keyring_is_not_replaced_behind_the_back(district: District, file: Path) -> None:
    file.unlink()

    with pytest.raises(ConfigError, match="3 devices are encrypted with its keys"):
        keys.make(district.database, file, NOW)
    assert not file.exists()


def test_devices_are_given_up_with_their_lost_key(district: District, file: Path) -> None:
    file.unlink()

    count = keys.give_up_lost(district.database, file, NOW)

    assert count == 3
    assert district.rows(select(devices.c.retired_reason).distinct()) == [(store.KEY_LOST,)]
    assert pushes_by(district, keyring.in_file(file)) == []


def test_who_opens_the_app_after_a_loss_hears_again(district: District, file: Path) -> None:
    file.unlink()
    keys.give_up_lost(district.database, file, NOW)
    ring = keyring.in_file(file)
    district.app(store.register, ring, TOKENS[MOTHER], None, NOW)

    assert [device for device, count in uses(district).items() if count == 1] == list(ring.ids)


def test_only_devices_of_lost_keys_are_given_up(district: District, file: Path) -> None:
    keyring.write(file, [LATER_KEY, *KEYS])

    assert keys.give_up_lost(district.database, file, NOW) == 0


# A keyring that is found again


def two_rows(district: District, file: Path) -> tuple[str, str]:
    """The mother's device under the key of before and the next; the older, the newer row.

    On the older row her mother was signed in, too.
    """
    older = district.sign_in(GRANDMOTHER, TOKENS[MOTHER])
    file.unlink()
    keys.give_up_lost(district.database, file, NOW)
    district.clock.forward(timedelta(days=1))
    district.app(
        app.sign_in, keyring.in_file(file), PersonId(MOTHER), TOKENS[MOTHER], district.clock.now
    )
    keyring.write(file, [*keyring.read(file), *KEYS])
    newer = district.rows(select(func.max(devices.c.id)))[0][0]
    return older, str(newer)


def signed_in(district: District, device: str) -> set[str]:
    query = select(sessions.c.person_id).where(sessions.c.device_id == int(device))
    return {person for (person,) in district.rows(query)}


def test_who_signs_in_after_the_key_was_found_has_one_device(
    district: District, file: Path
) -> None:
    older, newer = two_rows(district, file)

    found = register(district, keyring.in_file(file), TOKENS[MOTHER])

    assert found == newer
    assert signed_in(district, newer) == {MOTHER, GRANDMOTHER}
    assert signed_in(district, older) == set()


def test_a_rotation_after_the_key_was_found_leaves_one_row_for_each_device(
    district: District, file: Path
) -> None:
    older, newer = two_rows(district, file)

    done = rotate(district.database, file, NOW)
    finish_rotation(district.database, file, NOW)

    assert done.unreadable == 0
    assert keys_of(file) == [done.newest]
    assert signed_in(district, newer) == {MOTHER, GRANDMOTHER}
    replaced = select(devices.c.id).where(devices.c.retired_reason == store.REPLACED)
    assert district.rows(replaced) == [(int(older),)]


# Several machines


def copy_too_late(district: District) -> Token:
    """On a machine that the new file was not copied to, somebody signs in on a new phone."""
    token = Token("fcm_token", "a-new-phone")
    district.app(app.sign_in, KEYRING, PersonId(MOTHER), token, NOW)
    return token


def test_a_sign_in_on_a_machine_with_the_older_file_can_be_read(
    district: District, file: Path
) -> None:
    rotate(district.database, file, NOW)
    token = copy_too_late(district)

    found = pushes_by(district, keyring.in_file(file))

    assert token in {push.token for push in found}


def test_finishing_seals_what_was_sealed_meanwhile_and_drops_the_older_key(
    district: District, file: Path
) -> None:
    rotate(district.database, file, NOW)
    token = copy_too_late(district)

    done = finish_rotation(district.database, file, NOW)

    assert (done.sealed, done.older, keys_of(file)) == (1, [], [done.newest])
    assert token in {push.token for push in pushes_by(district, keyring.in_file(file))}


def test_until_it_is_finished_a_rotation_makes_no_further_key(
    district: District, file: Path
) -> None:
    rotate(district.database, file, NOW)
    before = keys_of(file)

    assert rotate(district.database, file, NOW).resumed
    assert keys_of(file) == before


def test_a_device_of_a_key_that_is_gone_waits_alone(district: District, file: Path) -> None:
    rotate_wholly(district, file)
    token = copy_too_late(district)
    ring = keyring.in_file(file)

    found = pushes_by(district, ring)

    assert {push.token for push in found} == set(TOKENS.values())
    (alarm,) = district.alarms()
    assert (alarm.kind, alarm.subject) == (KEY_ALARM, KEYS[0].id)
    assert token.value not in alarm.problem


def test_what_waited_for_a_key_goes_when_the_key_is_there(district: District, file: Path) -> None:
    rotate_wholly(district, file)
    token = copy_too_late(district)
    pushes_by(district, keyring.in_file(file))
    district.composer = Composer(district.settings.id, Wording(), keyring.in_file(file))

    def due() -> list[tuple[Token, int]]:
        return [(push.token, push.attempt) for push in district.due()]

    at_once = due()
    district.clock.forward(timedelta(minutes=5))
    without = due()
    keyring.write(file, [*keyring.read(file), *KEYS])
    district.clock.forward(timedelta(minutes=5))

    assert (at_once, without, due()) == ([], [], [(token, 2)])


# Rotating


def test_a_rotation_seals_everything_anew(district: District, file: Path) -> None:
    before = addresses(district, KEYRING)

    done = rotate(district.database, file, NOW)

    assert done == Rotation(keys_of(file)[0], 3, 0, resumed=False, older=[KEYS[0].id])
    assert done.newest != KEYS[0].id
    assert uses(district) == {done.newest: 3}
    assert addresses(district, keyring.in_file(file)) == before


def test_a_device_is_found_again_after_a_rotation(district: District, file: Path) -> None:
    rotate(district.database, file, NOW)

    again = register(district, keyring.in_file(file), TOKENS[MOTHER])

    assert again == district.devices()[MOTHER]


def test_a_push_key_is_sealed_anew_too(district: District, file: Path) -> None:
    device = register(district, KEYRING, TOKENS[MOTHER], PUSH_KEY)

    rotate(district.database, file, NOW)

    (row,) = district.rows(select(*store.COLUMNS).where(devices.c.id == int(device)))
    assert opened(keyring.in_file(file), store.device(*row)).push_key == PUSH_KEY


def test_many_devices_are_sealed_slice_by_slice(
    district: District, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_AT_ONCE", 2)

    assert rotate(district.database, file, NOW).sealed == 3
    assert set(uses(district)) == {keys_of(file)[0]}


def test_a_running_engine_goes_on_through_a_rotation(district: District, file: Path) -> None:
    running = keyring.in_file(file)
    rotate(district.database, file, NOW)

    found = pushes_by(district, running)

    assert {push.token.value for push in found} == {token.value for token in TOKENS.values()}


def test_keys_are_rotated_while_people_sign_in_and_pushes_are_made(
    district: District, file: Path
) -> None:
    tokens = [Token("apns", f"phone-{number}") for number in range(40)]
    app = keyring.in_file(file)
    running = keyring.in_file(file)

    def sign_in() -> list[str]:
        return [register(district, app, token) for _ in range(3) for token in tokens]

    with ThreadPoolExecutor(1) as others:
        signing_in = others.submit(sign_in)
        while not signing_in.done():
            rotate(district.database, file, NOW)
            finish_rotation(district.database, file, NOW)
            assert len(pushes_by(district, running)) == len(TOKENS)
    last = keyring.read(file)[0]
    registered = signing_in.result()
    assert registered[:40] == registered[40:80] == registered[80:]
    assert uses(district) == {last.id: len(tokens) + len(TOKENS)}
    found = addresses(district, keyring.in_file(file))
    assert [found[device] for device in registered[:40]] == tokens


def rotate_wholly(district: District, file: Path) -> None:
    rotate(district.database, file, NOW)
    finish_rotation(district.database, file, NOW)


class Killed(BaseException):
    """What ends a process without asking."""


@pytest.mark.parametrize(
    ("place", "step"), [(store, "seal_again"), (keys, "_drop_old_keys")], ids=["sealing", "the end"]
)
def test_a_rotation_that_was_killed_loses_nothing_and_is_finished_by_the_next(
    district: District, file: Path, monkeypatch: pytest.MonkeyPatch, place: ModuleType, step: str
) -> None:
    before = addresses(district, KEYRING)
    real, calls = getattr(place, step), []

    def die(*arguments: Any) -> Any:
        """The second device, or the last step, is never come to."""
        calls.append(step)
        if step == "seal_again" and len(calls) == 1:
            return real(*arguments)
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(keys, "_AT_ONCE", 1)
        broken.setattr(place, step, die)
        with pytest.raises(Killed):
            rotate_wholly(district, file)
    meanwhile = addresses(district, keyring.in_file(file))
    newest = keys_of(file)[0]

    done = rotate(district.database, file, NOW)
    finish_rotation(district.database, file, NOW)

    assert meanwhile == before
    assert (done.newest, done.resumed) == (newest, True)
    assert keys_of(file) == [newest]
    assert addresses(district, keyring.in_file(file)) == before


def test_a_damaged_device_does_not_hold_up_the_others(district: District, file: Path) -> None:
    damaged = district.devices()[MOTHER]
    with district.database.write() as connection:
        connection.execute(
            devices.update()
            .where(devices.c.id == int(damaged))
            .values(token_sealed=KEYRING.seal(b"of-another-row", "token 999"))
        )

    done = rotate(district.database, file, NOW)

    assert (done.sealed, done.unreadable) == (2, 1)
    assert finish_rotation(district.database, file, NOW).older == []
    retired = district.rows(select(devices.c.id).where(devices.c.retired_at.is_not(None)))
    assert retired == [(int(damaged),)]


def test_a_process_with_another_keyring_waits_and_says_why(district: District) -> None:
    stranger = Keyring(lambda: [LATER_KEY])

    with pytest.raises(Misconfigured, match="0badcafe, which the keyring lacks"):
        pushes_by(district, stranger)
