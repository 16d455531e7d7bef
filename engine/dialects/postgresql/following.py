"""Triggers on tables of ours: a statement that follows every change of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.dialects.dialect import Follower

_EVENTS: Final = {
    "insert": "REFERENCING NEW TABLE AS new_rows",
    "update": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "REFERENCING OLD TABLE AS old_rows",
}


def following(follower: Follower) -> Sequence[str]:
    """See dialect.Dialect.following: once for a statement, however many rows it changes.

    The lock comes first, so that what is read afterwards is all that was committed before whoever
    wants the other table alone has to wait.
    """
    made: list[str] = []
    for event, rows in _EVENTS.items():
        name = f"{follower.name}_{event}"
        made += (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
            " SET search_path FROM CURRENT AS $$ BEGIN"
            f" LOCK TABLE {follower.writes} IN ROW EXCLUSIVE MODE;"
            f" {follower.statement(_changed(event, follower.columns))}; RETURN NULL; END $$",
            f"CREATE TRIGGER {name} AFTER {event.upper()} ON {follower.table} {rows}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        )
    return made


def not_following(follower: Follower) -> Sequence[str]:
    """See dialect.Dialect.not_following: triggers go with their table, and functions stay."""
    return [f"DROP FUNCTION {follower.name}_{event}()" for event in _EVENTS]


def _changed(event: str, columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    old, new = (f"SELECT {names} FROM {rows}" for rows in ("old_rows", "new_rows"))
    match event:
        case "insert":
            return f"({new})"
        case "delete":
            return f"({old})"
    return f"(({new} EXCEPT {old}) UNION ALL ({old} EXCEPT {new}))"
