"""How SQLite keeps the key of a changed row, and finds rows by it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from engine.dialects.dialect import NAME, NUMBER, Statement, Watched
from engine.dialects.names import in_text, quoted
from engine.dialects.sqlite.names import table_of

_STORED: Final = "schoolbell_stored"  # a function of our own connections
_BEYOND: Final = 2**63  # what SQLite keeps as no integer


def key_of(row: str, watched: Watched) -> str:
    """What identifies a row: a blob in hexadecimal, anything else as text."""
    texts = [_as_text(f"{row}.{quoted(column)}") for column in watched.key_columns]
    return texts[0] if len(texts) == 1 else f"json_array({', '.join(texts)})"


def _as_text(value: str) -> str:
    return (
        f"CASE typeof({value}) WHEN 'blob' THEN '\\x' || hex({value})"
        f" ELSE CAST({value} AS TEXT) END"
    )


def prepare(connection: sqlite3.Connection) -> None:
    """Teach a connection what the statements below call."""
    connection.create_function(_STORED, 1, _stored_key, deterministic=True)


def narrowed(query: str, by: str, keys: Collection[str]) -> Statement:
    """See dialect.Dialect.narrowed."""
    condition = f"{in_text(quoted(by))} IN (SELECT {_STORED}(value) FROM json_each(:keys))"
    return Statement(
        f"SELECT * FROM ({query}\n) f WHERE {condition}",
        {"keys": _json_array([form for key in keys for form in _forms(key)])},
    )


def matched(
    query: str, by: Sequence[str], keys: Sequence[Sequence[str]], named: Sequence[str]
) -> Statement:
    """See dialect.Dialect.matched. CROSS JOIN: the keys come first, then the index."""
    texts = ", ".join(_as_text(f"f.{in_text(quoted(column))}") for column in named)
    name = f", json_array({texts}) AS {NAME}" if named else ""
    equal = " AND ".join(
        f"f.{in_text(quoted(column))} IN ({_STORED}(wanted.value ->> '$[{n}][0]'),"
        f" wanted.value ->> '$[{n}][1]')"
        for n, column in enumerate(by)
    )
    return Statement(
        f"SELECT wanted.key + 1 AS {NUMBER}{name}, f.* FROM json_each(:keys) wanted"
        f" CROSS JOIN ({query}\n) f WHERE {equal}",
        {"keys": _json_array([[_forms(part) for part in key] for key in keys])},
    )


def names(keys: Sequence[Sequence[str]]) -> Statement:
    """See dialect.Dialect.names: a key is what a row's columns say as text."""
    return Statement(
        f"SELECT key + 1 AS {NUMBER}, json(value) AS {NAME} FROM json_each(:keys)",
        {"keys": _json_array(keys)},
    )


def unique_sets(connection: Connection, table: str) -> set[frozenset[str]]:
    """See dialect.Dialect.unique_sets."""
    columns = connection.execute(
        text('SELECT name, "notnull", pk FROM pragma_table_info(:table)'),
        {"table": table_of(table)},
    ).all()
    may_be_null = {row.name for row in columns if not row.notnull and not row.pk}
    indexed = connection.execute(
        text(
            "SELECT index_list.name, index_info.name FROM pragma_index_list(:table) index_list"
            " JOIN pragma_index_info(index_list.name) index_info"
            ' WHERE index_list."unique" AND NOT index_list.partial'
        ),
        {"table": table_of(table)},
    )
    sets = {"": {row.name for row in columns if row.pk}}
    for index, column in indexed:  # an expression has no name
        sets.setdefault(index, set()).add(column)
    return {
        frozenset(one)
        for one in sets.values()
        if one and None not in one and one.isdisjoint(may_be_null)
    }


def _stored_key(key: str | float) -> str | float | bytes:
    """The bytes that the key of a blob stands for; any other key as it is."""
    if isinstance(key, str) and key.startswith("\\x"):
        with suppress(ValueError):
            return bytes.fromhex(key[2:])
    return key


def _forms(key: str) -> tuple[str, str | float]:
    """A key as text, and as the number that is written just so: not 007, nor 1e3.

    A column without a type of its own holds both, and does not take one for the other.
    """
    for type_ in (int, float):
        with suppress(ValueError, OverflowError):
            number = type_(key)
            if str(number) == key and abs(number) < _BEYOND:
                return key, number
    return key, key


def _json_array(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()
