"""Which tables a query reads wholly, for want of an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from engine.database import Database
from engine.dialects import dialect_of


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Two small tables: what counts is whether an index could be used, not what is cheap."""
    with closing(Database(database_url)) as made, made.write() as connection:
        connection.exec_driver_sql("CREATE TABLE pupil (id integer PRIMARY KEY, class integer)")
        connection.exec_driver_sql("CREATE TABLE mark (id integer PRIMARY KEY, pupil integer)")
    with closing(Database(database_url, read_only=True)) as reading:
        yield reading


@pytest.mark.parametrize(
    ("query", "by", "read"),
    [
        ("SELECT id, pupil FROM mark", "id", []),
        ("SELECT id, pupil FROM mark", "pupil", ["mark"]),
        ("SELECT mark.id FROM mark JOIN pupil ON pupil.id = mark.pupil", "id", []),
        ("SELECT p.id FROM pupil p JOIN mark AS m ON m.pupil = p.id", "id", ["mark"]),
        ("SELECT m.id FROM mark m JOIN pupil p ON p.class = m.pupil", "id", ["pupil"]),
        ("SELECT CAST(id AS text) AS id FROM mark", "id", ["mark"]),
    ],
)
def test_a_whole_read_is_named_by_its_table(
    database: Database, query: str, by: str, read: list[str]
) -> None:
    with database.read() as connection:
        dialect = dialect_of(connection)
        for statement in (
            dialect.narrowed(query, by, ["1", "2"]),
            dialect.matched(query, (by,), [("1",), ("2",)]),
        ):
            assert dialect.whole_reads(connection, statement) == read


def test_a_batch_of_keys_reads_what_belongs_to_them_and_no_other_table_wholly(
    postgres_url: str,
) -> None:
    """PostgreSQL thought that few keys are given, and looked through all work for each of them."""
    query = (
        "SELECT mark.id, work.title FROM mark JOIN work ON work.id = mark.work"
        " JOIN term ON term.id = work.term"
    )
    with closing(Database(postgres_url)) as database, database.write() as connection:
        for statement in (
            "CREATE TABLE term AS SELECT id FROM generate_series(1, 10) id",
            "CREATE TABLE work AS SELECT id, 1 + mod(id, 10) AS term, 'Quiz' AS title"
            " FROM generate_series(1, 2000) id",
            "CREATE TABLE mark AS SELECT id, 1 + mod(id, 2000) AS work"
            " FROM generate_series(1, 20000) id",
            "CREATE INDEX ON mark (work)",
            *(f"ALTER TABLE {table} ADD PRIMARY KEY (id)" for table in ("term", "work", "mark")),
            "ANALYZE term, work, mark",
        ):
            connection.exec_driver_sql(statement)
        keys = [(str(number),) for number in range(1, 501)]
        asked, values = database.dialect.matched(query, ("id",), keys)
        found = connection.execute(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {asked}"), values)
        plan = found.scalar_one()[0]["Plan"]
    blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert blocks < 10 * len(keys)
