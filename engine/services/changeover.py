"""Changeover: the installation goes on with another database of the SIS.

Some SIS begin a new database each school year, with ids that begin anew. What people chose, and
their devices, stay; what was told of a record says nothing of the record that has its id now, and
nobody is told of what the new database holds already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Final

from engine.errors import Misconfigured, Unprocessable
from engine.runtime.directory import Synced
from engine.runtime.district import District
from engine.services import directory
from engine.store import district, source

_OURS: Final = "the engine's own database"


def require_same(here: District) -> None:
    """Raise Misconfigured where [source] url names another database than before.

    Where nothing was ever heard of the one before, it is taken for granted.
    """
    address = _address(here)
    with here.database.write() as connection:
        known = source.current(connection)
        if known.address == address:
            return
        if known.address and source.was_heard(connection):
            raise _another(address, known.address)
        source.note_address(connection, address)


def change(here: District, *, same_records: bool, may_shrink: bool = False) -> Iterator[str]:
    """Go on with the database that [source] url names now, saying what is done.

    With *same_records* the SIS only moved. Otherwise every record of it is a new one: captured
    changes of the old database that were not evaluated yet are left. The directory is read first,
    so nothing is changed where the queries do not run there, or it lists less than half of what was
    known, unless it *may_shrink*. Raises ConfigError while the embedded engine runs.
    """
    address = _address(here)
    with here.lock.hold() if here.lock else nullcontext():
        here.source.check()
        yield from directory.sentences(_read(here, may_shrink=may_shrink))
        if not same_records:
            here.capture.remove()  # a copy of the old database brought its outbox along
        with here.database.write() as connection:
            if same_records:
                source.note_address(connection, address)
            else:
                source.begin(connection, address)
                forgotten = district.forget_options_of_terms(connection)
        findings = here.capture.install()
        yield f"Changes of {len(findings)} tables are captured in {here.source.database.name}."
    if same_records:
        yield "Its records are those that were known: what was told of them still counts."
    else:
        yield "Its records are new ones: nothing that was told before counts for them."
        if forgotten:
            yield "What schools chose for single terms is forgotten: its terms are new ones, too."


def _read(here: District, *, may_shrink: bool) -> Synced:
    try:
        return directory.sync(here.directory, may_shrink=may_shrink)
    except Unprocessable as error:
        raise Unprocessable(
            error.problem,
            "Look at the URL and the SIS; `schoolbell source change --shrink` accepts it.",
        ) from error


def _address(here: District) -> str:
    """Where the SIS is; our own database goes wherever we go."""
    if here.source.database is here.database:
        return _OURS
    return here.source.database.address


def _another(now: str, before: str) -> Misconfigured:
    return Misconfigured(
        f"[source] url names another database than before: {now}, where it was {before}.",
        "Mend the URL; or, if the SIS began a new database, run `schoolbell source change --records"
        " new`, and if it only moved, `--records same`.",
    )
