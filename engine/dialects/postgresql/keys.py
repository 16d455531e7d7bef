"""How PostgreSQL keeps the key of a changed row, and finds rows by it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, text

from engine.dialects.dialect import NAME, NUMBER, Statement, Watched
from engine.dialects.names import in_text, quoted
from engine.dialects.postgresql.names import quoted as quoted_table


def key_of(row: str, watched: Watched) -> str:
    """What identifies a row, in words that do not depend on the writer's session."""
    return _as_key(
        [
            f"pg_catalog.to_jsonb({row}.{quoted(column)}) OPERATOR(pg_catalog.#>>) '{{}}'"
            for column in watched.key_columns
        ]
    )


def _as_key(texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return f"pg_catalog.jsonb_build_array({', '.join(texts)})::pg_catalog.text"


def narrowed(query: str, by: str, keys: Collection[str]) -> Statement:
    """See dialect.Dialect.narrowed.

    An array literal without a type: PostgreSQL gives it the column's, and uses its index.
    """
    condition = f"{in_text(quoted(by))} = ANY(:keys)"
    return Statement(f"SELECT * FROM ({query}\n) f WHERE {condition}", {"keys": as_array(keys)})


def matched(
    query: str, by: Sequence[str], keys: Sequence[Sequence[str]], named: Sequence[str]
) -> Statement:
    """See dialect.Dialect.matched.

    The array literals have no type. In a UNION with arrays of the columns, of which no row is
    ever read, they get the columns' types, so indexes are used. The condition on one column
    passes a GROUP BY or UNION of the query, which a join does not.

    What that condition finds is put aside before it is joined with the keys. Asked for both at
    once PostgreSQL takes the keys for next to none, and reads other tables of the query wholly for
    each, in the first batches of a connection: 55 ms for 1,000 scores where it takes 8.
    """
    columns = [in_text(quoted(column)) for column in by]
    name = f", {_name(f'f.{in_text(quoted(column))}' for column in named)}" if named else ""
    equal = " AND ".join(f"f.{column} = wanted.k{n}" for n, column in enumerate(columns))
    found, aside = "f", ""
    if len(by) == 1:
        found = "found f"
        aside = f", found AS MATERIALIZED (SELECT * FROM f WHERE f.{columns[0]} = ANY(:k0))"
    return Statement(
        f"WITH f AS NOT MATERIALIZED ({query}\n){aside}"
        f" SELECT wanted.n AS {NUMBER}{name}, f.* FROM {_wanted(columns)} JOIN {found} ON {equal}",
        _arrays(keys),
    )


def names(query: str, by: Sequence[str], keys: Sequence[Sequence[str]]) -> Statement:
    """See dialect.Dialect.names."""
    columns = [in_text(quoted(column)) for column in by]
    name = _name(f"wanted.k{n}" for n in range(len(by)))
    return Statement(
        f"WITH f AS NOT MATERIALIZED ({query}\n)"
        f" SELECT wanted.n AS {NUMBER}, {name} FROM {_wanted(columns)}",
        _arrays(keys),
    )


def _wanted(columns: Sequence[str]) -> str:
    """The keys of `_arrays`, numbered, in the types of these *columns* of f."""
    numbers = range(len(columns))
    typed = ", ".join(f"ARRAY[f.{column}] AS k{n}" for n, column in enumerate(columns))
    given = ", ".join(f":k{n}" for n in numbers)
    arrays = ", ".join(f"typed.k{n}" for n in numbers)
    names = ", ".join(f"k{n}" for n in numbers)
    return (
        f"(SELECT {typed} FROM f WHERE FALSE UNION ALL SELECT {given}) typed"
        f" CROSS JOIN LATERAL unnest({arrays}) WITH ORDINALITY wanted({names}, n)"
    )


def _arrays(keys: Sequence[Sequence[str]]) -> dict[str, str]:
    return {f"k{n}": as_array(each) for n, each in enumerate(zip(*keys, strict=True))}


def _name(values: Iterable[str]) -> str:
    """What values are called: 7.0 and 7.00 are one number, char(n) has no blanks behind."""
    texts = (
        f"CASE WHEN jsonb_typeof(to_jsonb({value})) = 'number'"
        f" THEN trim_scale(to_jsonb({value})::numeric)::text ELSE {value}::text END"
        for value in values
    )
    return f"jsonb_build_array({', '.join(texts)})::text AS {NAME}"


def unique_sets(connection: Connection, table: str) -> set[frozenset[str]]:
    """See dialect.Dialect.unique_sets."""
    found = connection.execute(
        text(
            "SELECT array_agg(a.attname::text) FROM pg_index i"
            " CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS part(attnum, place)"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = part.attnum"
            " WHERE i.indrelid = to_regclass(:table) AND part.place <= i.indnkeyatts"
            " AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
            " GROUP BY i.indexrelid HAVING bool_and(a.attnotnull)"
        ),
        {"table": quoted_table(table)},
    )
    return {frozenset(columns) for columns in found.scalars()}


def as_array(texts: Iterable[str]) -> str:
    """An array literal of *texts*. Few hold what must be escaped, so all are looked at as one."""
    found = list(texts)
    if not found:
        return "{}"
    whole = '","'.join(found)
    if "\\" in whole or whole.count('"') > 2 * (len(found) - 1):
        escaped = (one.replace("\\", "\\\\").replace('"', '\\"') for one in found)
        whole = '","'.join(escaped)
    return '{"' + whole + '"}'
