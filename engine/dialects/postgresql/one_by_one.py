"""How a trigger reads a row of which some column cannot be read with the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.dialects.dialect import Watched
from engine.dialects.names import literal

_DIFFERS_FROM: Final = "OPERATOR(pg_catalog.<>)"
_JOIN: Final = "OPERATOR(pg_catalog.||)"


def one_by_one(watched: Watched) -> str:
    """Statements that give old_values, new_values and key_value what each column can be read as.

    That is jsonb, else text, else nothing. `concat` makes text of any type without asking for a
    cast, which may be a function of somebody else's. What is executed is planned when it runs: it
    knows the row as it is now.
    """
    return f"""DECLARE
            name pg_catalog.text; value pg_catalog.jsonb; parts pg_catalog.text[];
        BEGIN
            old_values := NULL; new_values := NULL;
            IF TG_OP {_DIFFERS_FROM} 'INSERT' THEN
                old_values := '{{}}';
                FOREACH name IN ARRAY {_array(watched.columns)} LOOP
                    {_read("OLD")}
                    old_values := old_values {_JOIN} pg_catalog.jsonb_build_object(name, value);
                END LOOP;
            END IF;
            IF TG_OP {_DIFFERS_FROM} 'DELETE' THEN
                new_values := '{{}}';
                FOREACH name IN ARRAY {_array(watched.columns)} LOOP
                    {_read("NEW")}
                    new_values := new_values {_JOIN} pg_catalog.jsonb_build_object(name, value);
                END LOOP;
            END IF;
            IF old_values OPERATOR(pg_catalog.=) new_values THEN RETURN NULL; END IF;
            FOREACH name IN ARRAY {_array(watched.key_columns)} LOOP
                IF TG_OP {_DIFFERS_FROM} 'DELETE' THEN
                    {_read("NEW")}
                ELSE
                    {_read("OLD")}
                END IF;
                parts := pg_catalog.array_append(parts, value OPERATOR(pg_catalog.#>>) '{{}}');
            END LOOP;
            key_value := {_key(watched.key_columns)};
        EXCEPTION WHEN OTHERS THEN
            RAISE LOG USING MESSAGE = pg_catalog.concat(
                {literal(f"schoolbell: a change of {watched.table} is not captured: ")}, SQLSTATE);
            RETURN NULL;
        END;"""


def _read(row: str) -> str:
    """Give *value* what the column *name* of a row holds."""
    column = "'($1).', pg_catalog.quote_ident(name), '"
    return f"""BEGIN
                        EXECUTE pg_catalog.concat('SELECT pg_catalog.to_jsonb(', {column})')
                            INTO value USING {row};
                    EXCEPTION WHEN OTHERS THEN
                        BEGIN
                            EXECUTE pg_catalog.concat(
                                'SELECT pg_catalog.to_jsonb(pg_catalog.concat(', {column}))')
                                INTO value USING {row};
                        EXCEPTION WHEN OTHERS THEN
                            value := NULL;
                        END;
                    END;"""


def _key(columns: Sequence[str]) -> str:
    return "parts[1]" if len(columns) == 1 else "pg_catalog.to_jsonb(parts)::pg_catalog.text"


def _array(names: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(literal, names))}]::pg_catalog.text[]"
