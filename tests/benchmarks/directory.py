"""What a full read of the directory costs: `python -m tests.benchmarks.directory`.

A district whose students have two guardians each, every guardian of four students having three.
Each read is a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

import click
from sqlalchemy import text

from engine.database import Database
from engine.runtime.directory import SisDirectory
from engine.sources.loading import load
from engine.sources.source import SqlSource
from engine.store import migrate
from engine.trial.reference.create import create
from tests.servers import PostgresServer, Sandbox

_NUMBERS: Final = """
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :upto)
"""
_FILL: Final = (
    "INSERT INTO school SELECT n, 'School ' || n FROM number WHERE n <= 100",
    "INSERT INTO school_year SELECT n, '2026-27', '2026-08-24', '2027-06-04', TRUE FROM number"
    " WHERE n = 1",
    "INSERT INTO calendar SELECT n, n, 1 FROM number WHERE n <= 100",
    "INSERT INTO meal_account SELECT n, 0 FROM number WHERE n = 1",
    "INSERT INTO person (person_id, first_name, last_name, language)"
    " SELECT n, 'Firstname' || n % 997, 'Lastname' || n % 4999, 'en' FROM number",
    "INSERT INTO student SELECT n, n, n % 100 + 1, 1, n % 13, 'enrolled' FROM number"
    " WHERE n * 5 <= :upto * 2",
    "INSERT INTO guardian (student_id, person_id, relation, portal, starts, restricted)"
    " SELECT n, :upto * 2 / 5 + (n * 3 + which) % (:upto * 3 / 5) + 1, 'mother', TRUE,"
    " '2024-08-01', FALSE FROM number, (SELECT 0 AS which UNION SELECT 1) AS guardians"
    " WHERE n * 5 <= :upto * 2",
)
_LATER: Final = (
    "UPDATE person SET last_name = 'Married' WHERE person_id % 100 = 0",
    "DELETE FROM guardian WHERE guardian_id % 100 = 1",
)


@dataclass(frozen=True, slots=True)
class Read:
    """One full read: rows that the SIS lists, seconds by the clock and of our processor time,
    and the process's largest size in MB."""

    listed: int
    seconds: float
    processor: float
    megabytes: float


def fill(url: str, students: int) -> None:
    """Make the SIS, and our tables beside it."""
    database = Database(url)
    create(database.engine)
    with database.write() as connection:
        for statement in _FILL:
            into, rows = statement.split(" SELECT ", 1)
            connection.execute(text(f"{into}{_NUMBERS} SELECT {rows}"), {"upto": students * 5 // 2})
    migrate.upgrade(database)
    database.close()


def read(url: str) -> Read:
    """Read everything, and write what differs."""
    database = Database(url)
    began, busy = time.perf_counter(), time.process_time()
    counted = SisDirectory(database, SqlSource(database, load("reference"))).sync().listed
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    database.close()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Read(sum(counted.values()), seconds, processor, megabytes)


def change(url: str) -> None:
    """A hundredth of the people and of the rights change."""
    database = Database(url)
    with database.write() as connection:
        for statement in _LATER:
            connection.execute(text(statement))
    database.close()


@contextmanager
def databases() -> Iterator[list[tuple[str, str]]]:
    """One of each kind: its name and its URL."""
    with PostgresServer() as server, Sandbox("schoolbell-bench") as sandbox:
        yield [
            ("PostgreSQL", server.create_database("district")),
            ("SQLite", f"sqlite:///{sandbox.folder / 'district.db'}"),
        ]


@click.command()
@click.option("--students", default=100_000, show_default=True)
def main(students: int) -> None:
    """Measure three reads: of everything, of nothing new, and of a hundredth that differs."""
    with databases() as found:
        for name, url in found:
            fill(url, students)
            for what in ("first", "nothing differs", "a hundredth differs"):
                if what.startswith("a "):
                    change(url)
                written = _written(url)
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    one = pool.submit(read, url).result()
                click.echo(
                    f"{name:12} {what:20} {one.listed:9,} rows {one.seconds:6.1f} s "
                    f"(processor {one.processor:5.1f} s) "
                    f"{one.megabytes:5.0f} MB, log {(_written(url) - written) / 1e6:7.2f} MB"
                )


def _written(url: str) -> int:
    """Bytes of write-ahead log so far; on SQLite the size of its file."""
    database = Database(url)
    where = "SELECT pg_current_wal_insert_lsn() - '0/0'"
    with database.read() as connection:
        if not database.dialect.keeps_zones:
            where = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        found = int(connection.execute(text(where)).scalar_one())
    database.close()
    return found


if __name__ == "__main__":
    main()
