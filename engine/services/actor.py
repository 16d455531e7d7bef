"""The actor: who does something that the audit log tells about."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from engine.store.staff import audit
from engine.store.staff.audit import State
from rules.tool_rights import StaffId


class Actor(NamedTuple):
    """A member of staff, or with *staff* None somebody who may run commands on this machine."""

    name: str
    at: datetime
    staff: StaffId | None = None

    def did(
        self, connection: Connection, act: str, subject: str, before: State, after: State
    ) -> None:
        """Write it into the audit log, in the transaction that does it.

        What was there before and after tells about settings and rights, never about a pupil.
        """
        audit.add(connection, self.at, self.staff, self.name, act, subject, before, after)


def changed(before: Any, after: Any) -> tuple[State, State]:
    """A single value before and after, as the audit log keeps it."""
    return {"value": before}, {"value": after}
