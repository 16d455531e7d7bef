"""Databases in an odd state: a sentence with a remedy from every command, never a traceback."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.builders import a_change
from tests.district import marked, scored
from tests.engine.cli.commands import Bell
from tests.engine.cli.odd import Ended, run

COMMANDS: Final = (
    *("status", "inbox --person 34", "why --student 41 --person 34", "parked list", "keys show"),
    *("privacy", "enable", "sign-in --person 34 --kind apns --token " + "ab" * 32, "sync"),
    *("subscribe --person 34 --student 41 --kind grade --below 5", "install", "keys rotate"),
    *("display-option --school 1 --kind grade --audience student hide", "capture check"),
    *("device privacy --device 1 generic", "replay --since 2026-01-01", "parked retry"),
)
VALUES: Final = (
    *("'garbage'", "NULL", "-1", "9e999", "x'00ff'", "''", "'[]'", "'[[1]]'", "'{\"a\": 1}'"),
    *("12345678901234567890", "x''", "'2026-13-45'", "'\n'"),
)
DAMAGED, PARTS = 60, 6


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    """An installed district in which something was told, and something is parked."""
    bell = Bell.installed(tmp_path_factory.mktemp("bell"))
    bell.district().evaluate([scored(9, 17), marked(), a_change("cafeteria", after={})])
    bell.close()
    with closing(sqlite3.connect(bell.folder / "bell.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return bell


@pytest.fixture
def bell(original: Bell, tmp_path: Path) -> Bell:
    return original.copy_to(tmp_path)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds a database is waited for as long as a test has time."""
    monkeypatch.setattr("engine.dialects.sqlite.adapter._BUSY_TIMEOUT", 0.1)


def ask(bell: Bell, command: str) -> Ended:
    """Run a command, which must end with a sentence where it does not go well."""
    ended = run(["--config", str(bell.config_file), *command.split()])

    assert ended.unforeseen is None, command
    assert ended.code in (0, 1, 2), command
    assert "Traceback" not in ended.said, command
    if ended.code == 2:
        assert ended.err.count("Error: ") == ended.err.count("What to do: ") == 1, command
    return ended


# Files


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("This is no database. " * 1_000)


def garbage(file: Path) -> None:
    file.write_bytes(random.Random(1).randbytes(100_000))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])


def cut_within_its_head(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:50])


def eaten(file: Path) -> None:
    """Every page but the first is overwritten."""
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:4_096] + random.Random(2).randbytes(size - 4_096))


def holed(file: Path) -> None:
    """Some pages are overwritten."""
    content = bytearray(file.read_bytes())
    chance = random.Random(3)
    for page in range(5, len(content) // 4_096, 3):
        content[page * 4_096 : page * 4_096 + 2_000] = chance.randbytes(2_000)
    file.write_bytes(content)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/full")


def without_its_tables(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for table in ("district", "devices", "alarms", "tallies", "relayed"):
            connection.execute(f"DROP TABLE schoolbell_{table}")


def without_its_district(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DELETE FROM schoolbell_district")


def half_migrated(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE schoolbell_alarms DROP COLUMN remedy")
        connection.execute("ALTER TABLE schoolbell_subscriptions RENAME COLUMN thresholds TO t")


def of_a_later_release(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE schoolbell_version SET version_num = '9999'")


def of_two_releases(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("INSERT INTO schoolbell_version VALUES ('9999')")


def of_no_release(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DELETE FROM schoolbell_version")


def with_another_version_table(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE schoolbell_version")
        connection.execute("CREATE TABLE schoolbell_version (release integer)")


@pytest.mark.parametrize(
    "spoil",
    [
        *(empty, text, garbage, cut, cut_within_its_head, eaten, holed, folder, loop, device),
        *(without_its_tables, without_its_district, half_migrated, of_a_later_release),
        *(of_two_releases, of_no_release, with_another_version_table),
    ],
)
def test_an_odd_database_is_told_with_a_remedy(bell: Bell, spoil: Callable[[Path], None]) -> None:
    spoil(bell.folder / "bell.db")

    codes = {command: ask(bell, command).code for command in COMMANDS}

    assert 2 in codes.values()


@pytest.mark.parametrize("place", ["no/such/folder/bell.db", "schoolbell.toml/bell.db", "x" * 300])
def test_a_database_that_cannot_be_there_is_told(bell: Bell, place: str) -> None:
    bell.config_file.write_text(f'[database]\nurl = "sqlite:///{place}"\n')

    for command in COMMANDS:
        assert ask(bell, command).code == 2, command


@pytest.fixture
def locked(bell: Bell) -> Iterator[Bell]:
    """Another program writes, and does not end."""
    with closing(sqlite3.connect(bell.folder / "bell.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield bell


def test_a_database_that_another_program_holds_is_told(locked: Bell) -> None:
    ended = ask(locked, "enable")

    assert ended.code == 2
    assert "Look for another program that holds it" in ended.err


# Rows


@pytest.mark.parametrize("part", range(PARTS))
def test_a_row_that_somebody_changed_by_hand_is_told_with_a_remedy(
    original: Bell, tmp_path: Path, part: int
) -> None:
    chance = random.Random(part)
    for number in range(DAMAGED // PARTS):
        bell = original.copy_to(tmp_path / str(number))
        changed = damage(bell.folder / "bell.db", chance)
        for command in chance.sample(COMMANDS, 3):
            try:
                ask(bell, command)
            except AssertionError as wrong:
                raise AssertionError(changed) from wrong


def damage(file: Path, chance: random.Random) -> str:
    """Put something odd into one column of one table; what was done."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'schoolbell%'"
        ).fetchall()
        (table,) = chance.choice(tables)
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        statement = f"UPDATE {table} SET {chance.choice(columns)[1]} = {chance.choice(VALUES)}"
        try:
            connection.execute(statement)
        except sqlite3.IntegrityError:
            return "nothing"
        return statement


def test_a_damaged_row_is_told_as_one(bell: Bell) -> None:
    with closing(sqlite3.connect(bell.folder / "bell.db", isolation_level=None)) as connection:
        connection.execute("UPDATE schoolbell_district SET privacy = 'loud'")

    said = ask(bell, "privacy").err

    assert "holds a row that this release cannot read (engine.store.district)" in said
    assert "loud" not in said
