"""Names as databases have them, from the trigger to the facts: quoted, and never a statement."""

from __future__ import annotations

import pytest

from engine.dialects.names import quoted, table_name, table_parts
from engine.errors import ConfigError
from engine.sources.definition import Query
from engine.sources.source import SqlSource
from tests.engine.sources.sis import Sis, a_definition, a_watch

ODD = (
    "Score", "the score", "scöre", "$core", 'say "hi"', "it's", "select", "user", "100%", "%s",
    ":at",    "a\\b", "分数", "x\"); DROP TABLE kept; --", "a.b", "1st", "semi;colon", "tab\tbed",
    "{curly}", "?",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_table_and_its_columns_may_have_any_name(empty_sis: Sis, name: str) -> None:
    table, key, column = quoted(name), quoted(f"key {name}"), quoted(f"points {name}")
    empty_sis.write(
        "CREATE TABLE kept (id integer)",
        f"CREATE TABLE {table} ({key} integer, other integer, {column} integer,"
        f" PRIMARY KEY ({key}, other))",
    )
    facts = (
        f"SELECT {key} AS {quoted(f'by {name}')}, other, 'r' AS record, 41 AS student_id,"
        f" 1 AS school_id, 1 AS calendar_id, TRUE AS released, {column} AS value FROM {table}"
    )
    definition = a_definition(
        a_watch(
            table=table_name((name,)),
            key=(f"key {name}", "other"),
            by=(f"by {name}", "other"),
            columns=(f"points {name}",),
            facts="odd",
        ),
        facts={"odd": Query(query=facts)},
    )
    capture = empty_sis.capture(definition)
    capture.install()
    empty_sis.write(f"INSERT INTO {table} VALUES (7, 1, 17)", f"UPDATE {table} SET {column} = 18")
    found = SqlSource(empty_sis.database, definition).find(empty_sis.changes())
    assert [(one.before and one.before.text, one.after and one.after.text) for one in found] == [
        (None, "17"),
        ("17", "18"),
    ]
    assert [finding.state for finding in capture.check()] == ["in place"]
    capture.remove()
    assert empty_sis.ask("SELECT count(*) FROM kept") == [(0,)]


@pytest.mark.parametrize("schema", ["Food Service", "a.b", "sélect", 'q"q'])
def test_a_schema_may_have_any_name(empty_postgres_sis: Sis, schema: str) -> None:
    table = f'{quoted(schema)}."Acc.ount"'
    empty_postgres_sis.write(
        f"CREATE SCHEMA {quoted(schema)}",
        f"CREATE TABLE {table} (id integer PRIMARY KEY, points integer)",
    )
    empty_postgres_sis.watch(a_watch(table=table_name((schema, "Acc.ount"))))
    empty_postgres_sis.write(f"INSERT INTO {table} VALUES (1, 7)")
    assert empty_postgres_sis.change().after == {"points": 7}


@pytest.mark.parametrize("parts", [(name,) for name in ODD] + [("a.b", 'c"d'), ("food", "a b")])
def test_a_name_is_put_together_and_taken_apart(parts: tuple[str, ...]) -> None:
    assert table_parts(table_name(parts)) == parts


class TestWhatIsMeant:
    """A name that is nearly right is pointed at."""

    @pytest.mark.parametrize(
        ("table", "meant"), [("Score", "score"), ("scores", "score"), ("scroe", "score")]
    )
    def test_a_table(self, empty_sis: Sis, table: str, meant: str) -> None:
        empty_sis.write("CREATE TABLE score (id integer PRIMARY KEY, points integer)")
        assert f"no table {table}; did you mean `{meant}`?" in _problem(empty_sis, table=table)

    def test_a_table_of_another_schema(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(
            "CREATE SCHEMA food", "CREATE TABLE food.score (id integer PRIMARY KEY, points integer)"
        )
        assert "did you mean `food.score`?" in _problem(empty_postgres_sis)

    @pytest.mark.parametrize("column", ["Points", "point", "piontS"])
    def test_a_column(self, empty_sis: Sis, column: str) -> None:
        empty_sis.write("CREATE TABLE score (id integer PRIMARY KEY, points integer)")
        problem = _problem(empty_sis, columns=(column,))
        assert f"[[watch]] score: table score has no column {column}; did you mean `points`?" in (
            problem
        )


def _problem(sis: Sis, **differences: object) -> str:
    with pytest.raises(ConfigError) as caught:
        sis.watch(a_watch(**differences))
    return caught.value.problem
