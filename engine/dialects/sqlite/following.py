"""Triggers on tables of ours: a statement that follows every change of a row."""

from __future__ import annotations

from collections.abc import Sequence

from engine.dialects.dialect import Follower


def following(follower: Follower) -> Sequence[str]:
    """See dialect.Dialect.following: once for each row."""
    old, new = _row("OLD", follower.columns), _row("NEW", follower.columns)
    was, becomes = _values("OLD", follower.columns), _values("NEW", follower.columns)
    return [
        f"CREATE TRIGGER {follower.name}_{event.lower()} AFTER {event} ON {follower.table}"
        f" {condition}BEGIN {follower.statement(f'({changed})')}; END"
        for event, condition, changed in (
            ("INSERT", "", new),
            ("UPDATE", f"WHEN {was} IS NOT {becomes} ", f"{old} UNION ALL {new}"),
            ("DELETE", "", old),
        )
    ]


def _row(which: str, columns: Sequence[str]) -> str:
    return "SELECT " + ", ".join(f"{which}.{column} AS {column}" for column in columns)


def _values(which: str, columns: Sequence[str]) -> str:
    return f"({', '.join(f'{which}.{column}' for column in columns)})"
