"""Capture: put the triggers in place, say whether they are, take them away.

In:         a source definition and the SIS database.
Guarantee:  a committed watched change always has an outbox row, a rolled-back one never.
Nothing but triggers on the watched tables, and an outbox of our own, is put into the SIS. Several
installations may capture in one SIS: each has an outbox, a cursor and triggers of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from engine.database import Database
from engine.dialects import problems
from engine.dialects.dialect import Concern as Concern
from engine.dialects.dialect import Grants as Grants
from engine.dialects.dialect import Owner
from engine.errors import Misconfigured, SchoolbellError
from engine.sources import schema
from engine.sources.definition import Captured, Definition

# Who waits for a lock on a table stands before the SIS's writers, so we wait little, and often.
_LOCK_TIMEOUT: Final = timedelta(milliseconds=300)


@dataclass(frozen=True, slots=True)
class Finding:
    """What `check` found of one watch: *state* is `in place` or what is wrong with it."""

    watch: str
    table: str
    state: str
    missed: str

    @property
    def in_place(self) -> bool:
        """Whether changes of this table are captured now."""
        return self.state == "in place"


class Capture:
    """What *owner* captures of a SIS."""

    def __init__(
        self,
        database: Database,
        definition: Definition,
        owner: Owner,
        lock_timeout: timedelta = _LOCK_TIMEOUT,
    ) -> None:
        self._database = database
        self._definition = definition
        self._owner = owner
        self._lock_timeout = lock_timeout
        self._triggers = database.dialect.triggers(database, owner)

    def install(self, *, take_over: bool = False, published: bool = False) -> Sequence[Finding]:
        """Make the outbox and every missing or outdated trigger; again, it changes nothing.

        Triggers of watches that the definition no longer has are taken away. Raises ConfigError
        before anything is touched when a table or column is not there, Misconfigured when the
        outbox is another owner's and *take_over* is false, or when a first one would do harm and
        *published* is false, and Unavailable when the SIS holds a table's lock for too long.
        """
        schema.require_fitting(self._database, self._definition)
        if not take_over:
            self._require_ours()
        if not published:
            self._require_harmless()
        self._triggers.make_outbox()
        self._install_missing()
        self._remove_others()
        self._install_missing()  # what shared its function with a trigger that was taken away
        self._triggers.share(self._definition.captured)
        return self.check()

    def check(self) -> Sequence[Finding]:
        """Say for each watch whether its triggers are in place, and what they would miss."""
        with self._database.read() as connection:
            return [
                Finding(one.name, one.table, self._state(connection, one), self._triggers.missed)
                for one in self._definition.captured
            ]

    def concerns(self) -> Sequence[Concern]:
        """What stands in the SIS that capture harms, or for which it misses changes."""
        return self._triggers.concerns(self._definition.captured)

    def grants(self, role: str, read: Collection[str]) -> Grants:
        """What an owner of the SIS grants to *role*; *read* are the tables that queries name."""
        return self._triggers.grants(role, self._definition.captured, read)

    @property
    def captures_nothing(self) -> bool:
        """Whether no trigger at all is in place."""
        return not any(finding.in_place for finding in self.check())

    def require(self) -> None:
        """Raise SchoolbellError naming every watch whose changes are not captured now."""
        self._require_ours()
        broken = [finding for finding in self.check() if not finding.in_place]
        if broken:
            names = ", ".join(f"{finding.table} ({finding.state})" for finding in broken)
            raise SchoolbellError(
                f"Changes are not captured on: {names}.", "Run `schoolbell capture install`."
            )

    def remove(self) -> Sequence[str]:
        """Take away our triggers and our outbox; return the names of the triggers.

        Raises Misconfigured when they are another owner's, and Unavailable when the SIS holds a
        table's lock for too long; running it again goes on.
        """
        self._require_ours()
        found = self._triggers.installed()
        for trigger in found:
            self._triggers.drop(trigger, self._lock_timeout)
        self._triggers.drop_outbox(self._lock_timeout)
        return [trigger.name for trigger in found]

    def _state(self, connection: Connection, captured: Captured) -> str:
        state = self._triggers.state(captured)
        if state == "in place" and (problem := schema.not_unique(connection, captured)):
            return f"in place, but {problem}"
        return state

    def _install_missing(self) -> None:
        for captured, finding in zip(self._definition.captured, self.check(), strict=True):
            if not finding.in_place:
                self._triggers.install(captured, self._lock_timeout)

    def _require_harmless(self) -> None:
        """Refuse a first installation that would do harm; what is there already is only told."""
        if self._triggers.current_owner() is not None:
            return
        for concern in self.concerns():
            if concern.harms:
                raise Misconfigured(concern.problem, concern.remedy)

    def _remove_others(self) -> None:
        """Take away the triggers of watches that the definition does not have, or has elsewhere."""
        wanted = {
            trigger for one in self._definition.captured for trigger in self._triggers.of(one)
        }
        for trigger in sorted(set(self._triggers.installed()) - wanted):
            self._triggers.drop(trigger, self._lock_timeout)

    def _require_ours(self) -> None:
        if self._triggers.current_owner() not in (None, self._owner.token):
            raise problems.of_another(self._database.name, self._owner.district)
