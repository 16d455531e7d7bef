"""The keyring: a file that others cannot read, and what is sealed with its keys."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from engine.errors import ConfigError, Misconfigured, Unprocessable
from engine.secrets import keyring
from engine.secrets.keyring import Key, Keyring
from tests.builders import NOW

OLD: Final = Key("00000001", NOW, b"\x01" * 32)
NEW: Final = Key("00000002", NOW, b"\x02" * 32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A keyring with one key."""
    file = tmp_path / "schoolbell.keys"
    keyring.write(file, [OLD])
    return file


def of(*keys: Key) -> Keyring:
    return Keyring(lambda: keys)


# The file


def test_what_was_written_is_read(file: Path) -> None:
    keyring.write(file, [NEW, OLD])

    assert list(keyring.read(file)) == [NEW, OLD]


def test_only_its_owner_may_read_it(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_else_is_left_in_the_folder(file: Path) -> None:
    keyring.write(file, [NEW])

    assert list(file.parent.iterdir()) == [file]


def test_what_an_interrupted_writer_left_is_no_obstacle(file: Path) -> None:
    file.with_name(".schoolbell.keys.new").write_text("half a key")

    keyring.write(file, [NEW])

    assert list(keyring.read(file)) == [NEW]
    assert list(file.parent.iterdir()) == [file]


def test_two_new_keys_have_nothing_in_common() -> None:
    first, second = keyring.new_key(NOW), keyring.new_key(NOW)

    assert first.id != second.id
    assert first.secret != second.secret
    assert len(first.secret) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_may_open_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)

    with pytest.raises(ConfigError, match=r"other users.*chmod 600"):
        keyring.read(file)


def test_a_missing_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no keyring.*copy.*`schoolbell install`"):
        keyring.read(tmp_path / "schoolbell.keys")


def test_a_folder_is_told_as_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        keyring.read(tmp_path)


def test_a_folder_that_is_not_there_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        keyring.write(tmp_path / "nowhere" / "schoolbell.keys", [NEW])


TODAY: Final = '"2026-11-23T08:00:00Z"'
SECRET: Final = "c2VjcmV0LW9mLWEta2V5"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "{",
        f'secret = "{SECRET}"',
        f'["{SECRET}"]',
        '{"keys": []}',
        f'{{"keys": [{{"id": "00000001", "created": "{SECRET}", "secret": "{SECRET}"}}]}}',
        f'{{"keys": [{{"id": "01020304", "created": {TODAY}, "secret": "{SECRET}"}}]}}',
        f'{{"keys": [{{"id": "{SECRET}", "created": {TODAY}, "secret": ""}}]}}',
    ],
)
def test_what_is_no_keyring_is_not_quoted(file: Path, words: str) -> None:
    file.write_text(words)

    with pytest.raises(ConfigError, match="is no keyring") as found:
        keyring.read(file)
    assert SECRET not in str(found.value)


def test_a_key_shows_its_id_alone() -> None:
    assert repr(NEW) == "Key(00000002)"


# Sealing


def test_what_is_sealed_is_opened_in_its_place() -> None:
    assert of(NEW).open(of(NEW).seal(b"a-token", "token 7"), "token 7") == b"a-token"


def test_the_same_words_are_never_sealed_the_same() -> None:
    ring = of(NEW)

    assert len({ring.seal(b"a-token", "token 7") for _ in range(50)}) == 50


def test_what_is_sealed_tells_its_key_and_nothing_else() -> None:
    sealed = of(NEW, OLD).seal(b"a-token", "token 7")

    assert keyring.key_of(sealed) == NEW.id
    assert b"a-token" not in sealed


@pytest.mark.parametrize("place", ["token 8", "push key 7"])
def test_what_was_moved_elsewhere_cannot_be_opened(place: str) -> None:
    """Who can write to the database could else have one family's news sent to another phone."""
    sealed = of(NEW).seal(b"a-token", "token 7")

    with pytest.raises(Unprocessable, match=place):
        of(NEW).open(sealed, place)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]), id="a bit"),
        pytest.param(lambda sealed: sealed[:20], id="cut"),
        pytest.param(lambda sealed: sealed[:4], id="but for the key's id"),
    ],
)
def test_what_was_changed_cannot_be_opened(spoil: Callable[[bytes], bytes]) -> None:
    sealed = of(NEW).seal(b"a-token", "token 7")

    with pytest.raises(Unprocessable):
        of(NEW).open(spoil(sealed), "token 7")


def test_a_key_of_another_district_with_the_same_id_opens_nothing() -> None:
    sealed = of(NEW).seal(b"a-token", "token 7")

    with pytest.raises(Unprocessable):
        of(Key(NEW.id, NOW, OLD.secret)).open(sealed, "token 7")


def test_an_unknown_key_is_the_configurations_fault() -> None:
    sealed = of(NEW).seal(b"a-token", "token 7")

    with pytest.raises(Misconfigured, match="key 00000002, which the keyring lacks"):
        of(OLD).open(sealed, "token 7")


def test_a_process_that_meets_a_new_key_reads_the_file_again(file: Path) -> None:
    running = keyring.in_file(file)
    keyring.write(file, [NEW, OLD])
    sealed = of(NEW).seal(b"a-token", "token 7")

    assert running.open(sealed, "token 7") == b"a-token"
    assert running.ids == [NEW.id, OLD.id]


def test_what_was_fetched_before_a_key_went_can_still_be_opened(file: Path) -> None:
    """A slow query may hold rows of both keys, and the older one is dropped meanwhile."""
    running = keyring.in_file(file)
    earlier, later = (of(key).seal(b"a-token", "token 7") for key in (OLD, NEW))
    keyring.write(file, [NEW])

    opened = [running.open(sealed, "token 7") for sealed in (later, earlier)]

    assert opened == [b"a-token", b"a-token"]
    assert keyring.key_of(running.seal(b"x", "y")) == NEW.id


def test_a_keyring_that_was_taken_away_is_told_as_missing(file: Path) -> None:
    running = keyring.in_file(file)
    file.unlink()

    with pytest.raises(ConfigError, match="no keyring"):
        running.open(of(NEW).seal(b"a-token", "token 7"), "token 7")


# Looking up


def test_words_are_found_by_their_hash_under_each_key() -> None:
    assert of(NEW, OLD).hashes("apns\0a-token") == [
        *of(NEW).hashes("apns\0a-token"),
        *of(OLD).hashes("apns\0a-token"),
    ]


def test_without_the_key_a_hash_cannot_be_worked_out() -> None:
    assert of(NEW).hashes("apns\0a-token") != of(OLD).hashes("apns\0a-token")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_what_root_writes_belongs_to_who_runs_schoolbell(file: Path) -> None:
    os.chown(file, 12_345, 12_345)

    keyring.write(file, [NEW, OLD])

    assert (file.stat().st_uid, file.stat().st_gid) == (12_345, 12_345)
