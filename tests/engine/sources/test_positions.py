"""Positions never go back, whatever becomes of the outbox: a lower one would be an old text."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, run

import pytest
from sqlalchemy.engine import make_url

from engine.ports import Outbox
from rules.change import Change
from tests.engine.sources.sis import Sis, conninfo
from tests.servers.postgres import BINARIES
from tests.servers.processes import find_program


@pytest.fixture
def relayed(sis: Sis) -> list[Change]:
    """Three changes of one record, relayed."""
    sis.write("INSERT INTO score VALUES (1, 7, NULL)")
    sis.write("UPDATE score SET points = 8", "UPDATE score SET points = 9")
    return relay(acquired(sis))


def acquired(sis: Sis) -> Outbox:
    """The outbox of the relay that starts now."""
    outbox = sis.outbox()
    assert outbox.acquire()
    return outbox


def relay(outbox: Outbox) -> list[Change]:
    """What one round of the relay publishes."""
    changes = list(outbox.read(100))
    if changes:
        outbox.mark_relayed(changes)
    outbox.release()
    return changes


def above(before: list[Change], after: list[Change]) -> bool:
    """Whether each position of *after* is higher than every one of *before*."""
    return min(one.position for one in after) > max(one.position for one in before)


def outbox_of(sis: Sis) -> str:
    return "schoolbell_outbox_district" if sis.is_sqlite else "schoolbell_capture_district.outbox"


def cursor_of(sis: Sis) -> str:
    return "schoolbell_cursor_district" if sis.is_sqlite else "schoolbell_capture_district.cursor"


def base_of(sis: Sis) -> int:
    """What is added to the places of this outbox; it is raised where positions might go back."""
    base: int = sis.program().one(f"SELECT base FROM {cursor_of(sis)}")
    return base


def test_a_relay_that_starts_again_goes_on_counting(sis: Sis, relayed: list[Change]) -> None:
    base = base_of(sis)
    sis.write("UPDATE score SET points = 10")
    assert (above(relayed, relay(acquired(sis))), base_of(sis)) == (True, base)


def test_what_is_relayed_again_has_the_position_that_it_had(
    sis: Sis, relayed: list[Change]
) -> None:
    outbox = sis.outbox()
    outbox.replay(relayed[0].at)
    assert relay(acquired(sis)) == relayed


def test_an_outbox_that_was_removed_and_installed_again_goes_on_above(
    sis: Sis, relayed: list[Change]
) -> None:
    sis.capture().remove()
    sis.watch()
    sis.program().write("UPDATE score SET points = 10")
    assert above(relayed, relay(acquired(sis)))


def test_so_it_does_when_our_own_database_was_lost_too(sis: Sis, relayed: list[Change]) -> None:
    sis.mark.position = 0
    sis.capture().remove()
    sis.watch()
    sis.program().write("UPDATE score SET points = 10")
    assert above(relayed, relay(acquired(sis)))


def test_an_outbox_that_somebody_dropped_goes_on_above(sis: Sis, relayed: list[Change]) -> None:
    sis.write(f"DROP TABLE {outbox_of(sis)}")
    sis.watch()
    for points in range(10, 20):  # as many as the old cursor had seen, and more
        sis.program().write(f"UPDATE score SET points = {points}")
    after = relay(acquired(sis))
    assert (len(after), above(relayed, after)) == (10, True)


def test_a_clock_that_was_set_back_does_not_take_positions_back(
    sis: Sis, relayed: list[Change]
) -> None:
    ahead = 10**15  # microseconds: the clock had been ahead by thirty years
    sis.write(f"UPDATE {cursor_of(sis)} SET base = base + {ahead}")
    sis.write("UPDATE score SET points = 10")
    last = relay(acquired(sis))
    sis.capture().remove()
    sis.watch()
    sis.program().write("UPDATE score SET points = 11")
    assert above(relayed + last, relay(acquired(sis)))


def test_rows_of_a_restored_copy_go_on_above_what_was_relayed_after_it_was_made(
    sis: Sis, relayed: list[Change], tmp_path: Path
) -> None:
    with a_copy(sis, tmp_path) as restored:
        sis.write("UPDATE score SET points = 10", "UPDATE score SET points = 11")
        lost = relay(acquired(sis))
        restored.mark = sis.mark
        # The SIS is in use before the relay is.
        restored.write("UPDATE score SET points = 5")
        after = relay(acquired(restored))
        assert ([change.after for change in after], above(relayed + lost, after)) == (
            [{"points": 5}],
            True,
        )


@pytest.mark.usefixtures("relayed")
def test_a_restored_copy_is_lifted_once(sis: Sis, tmp_path: Path) -> None:
    with a_copy(sis, tmp_path) as restored:
        sis.write("UPDATE score SET points = 10")
        relay(acquired(sis))
        restored.mark = sis.mark
        restored.write("UPDATE score SET points = 5")
        first = relay(acquired(restored))
        lifted = base_of(restored)
        restored.write("UPDATE score SET points = 6")
        second = relay(acquired(restored))
        assert (above(first, second), base_of(restored)) == (True, lifted)


@contextmanager
def a_copy(sis: Sis, folder: Path) -> Iterator[Sis]:
    """A backup of the SIS as it is now, put back beside it."""
    url = _copied_file(sis, folder) if sis.is_sqlite else _copied_database(sis, folder)
    copy = Sis(url)
    yield copy
    copy.close()
    if not sis.is_sqlite:
        sis.write("DROP DATABASE restored WITH (FORCE)")


def _copied_file(sis: Sis, folder: Path) -> str:
    copy = folder / "restored.db"
    sis.write(f"VACUUM INTO '{copy}'")
    return f"sqlite:///{copy}"


def _copied_database(sis: Sis, folder: Path) -> str:
    url = make_url(sis.url).set(database="restored").render_as_string(hide_password=False)
    dump = folder / "restored.sql"
    run([find_program("pg_dump", BINARIES), f"--file={dump}", f"--dbname={conninfo(sis.url)}"],
        check=True)  # fmt: skip
    sis.write("CREATE DATABASE restored")
    run([find_program("psql", BINARIES), "--quiet", f"--file={dump}",
         f"--dbname={conninfo(url)}"], check=True, stdout=DEVNULL)  # fmt: skip
    return url
