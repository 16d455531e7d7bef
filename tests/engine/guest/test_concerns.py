"""What stands beside capture that it harms, or for which it misses changes, is never silence."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
import pytest

from engine.dialects.dialect import Concern
from engine.dialects.postgresql import clock
from engine.errors import Misconfigured
from engine.sources.definition import Definition
from tests.engine.guest.school import (
    APPLICATION,
    BELL,
    DEFINITION,
    KID,
    SCORE,
    SIS,
    School,
    make_roles,
)
from tests.engine.sources.sis import a_definition, a_watch, connect, conninfo
from tests.servers import PostgresServer, wait_until

OURS: Final = "schoolbell_capture_district"
PATIENCE: Final = 30  # seconds


@pytest.fixture(scope="module")
def publisher() -> Iterator[PostgresServer]:
    """A server whose changes others may follow."""
    with PostgresServer({"wal_level": "logical", "fsync": "off"}) as server:
        make_roles(server)
        yield server


@pytest.fixture(scope="module")
def subscriber() -> Iterator[PostgresServer]:
    with PostgresServer({"wal_level": "logical", "fsync": "off"}) as server:
        yield server


@pytest.fixture
def published(publisher: PostgresServer) -> Iterator[School]:
    """A school whose database others may follow; we have our rights."""
    with closing(School(publisher.create_database("published"))) as school:
        grant(school)
        yield school
    publisher.drop_database("published")


@pytest.fixture
def replica(subscriber: PostgresServer) -> Iterator[psycopg.Connection]:
    """The same tables elsewhere."""
    url = subscriber.create_database("replica")
    with closing(connect(url)) as connection:
        for statement in ("CREATE SCHEMA sis", "SET search_path = sis", KID, SCORE):
            connection.execute(statement)
        yield connection
        for statement in (
            "ALTER SUBSCRIPTION news DISABLE",
            "ALTER SUBSCRIPTION news SET (slot_name = NONE)",
            "DROP SUBSCRIPTION news",
        ):
            connection.execute(statement)
    subscriber.drop_database("replica")


@pytest.fixture
def guest(school: School) -> School:
    grant(school)
    return school


def grant(school: School) -> None:
    school.owner.write(
        f"GRANT CREATE ON DATABASE {school.name} TO {BELL}",
        f"GRANT USAGE ON SCHEMA sis TO {BELL}",
        f"GRANT SELECT, TRIGGER ON ALL TABLES IN SCHEMA sis TO {BELL}",
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT, TRIGGER ON TABLES TO {BELL}",
    )


def concerns(school: School, definition: Definition = DEFINITION) -> Sequence[Concern]:
    return school.capture(definition).concerns()


def follow(replica: psycopg.Connection, school: School) -> None:
    """The replica follows the publication `news`, from now on."""
    replica.execute(
        f"CREATE SUBSCRIPTION news CONNECTION '{conninfo(school.url)}' PUBLICATION news"
    )


def arrives(replica: psycopg.Connection, key: int) -> None:
    """The school's replication goes on."""

    def is_there() -> bool:
        return bool(replica.execute("SELECT FROM sis.score WHERE id = %s", [key]).fetchall())

    wait_until(is_there, within=PATIENCE, what=f"score {key} arrives at the subscriber")


# Publications


def test_a_publication_of_all_tables_is_refused_before_anything_is_made(published: School) -> None:
    published.administrator.write("CREATE PUBLICATION news FOR ALL TABLES")
    with pytest.raises(Misconfigured, match=r"news is FOR ALL TABLES.*IN SCHEMA.*--published"):
        published.capture().install()
    assert published.owner.ask(f"SELECT FROM pg_namespace WHERE nspname = '{OURS}'") == []


def test_a_publication_of_all_tables_that_was_made_later_is_told(published: School) -> None:
    published.capture().install()
    published.administrator.write("CREATE PUBLICATION news FOR ALL TABLES")
    [concern] = concerns(published)
    assert (concern.subject, concern.harms) == ("publication news", True)
    assert [one.state for one in published.capture().install()] == ["in place"]


def test_our_deletes_pass_under_a_publication_of_all_tables(published: School) -> None:
    published.capture().install()
    published.administrator.write("CREATE PUBLICATION news FOR ALL TABLES")
    published.application.write("INSERT INTO score VALUES (1, 17, NULL, 1)")
    bell = published.program(BELL)
    bell.write(f"DELETE FROM {OURS}.outbox", f"UPDATE {OURS}.cursor SET owner = owner")


def test_a_publication_of_the_schools_schemas_goes_on(
    published: School, replica: psycopg.Connection
) -> None:
    published.administrator.write("CREATE PUBLICATION news FOR TABLES IN SCHEMA sis")
    follow(replica, published)
    published.application.write("INSERT INTO score VALUES (1, 17, NULL, NULL)")
    arrives(replica, 1)

    published.capture().install()
    published.application.write("INSERT INTO score VALUES (2, 18, NULL, NULL)")

    arrives(replica, 2)
    assert concerns(published) == []
    assert [change.key for change in published.changes()] == ["2"]


def test_a_subscriber_of_all_tables_that_has_a_copy_of_our_schema_goes_on(
    published: School, replica: psycopg.Connection
) -> None:
    """The remedy that is told to who insists on FOR ALL TABLES."""
    published.administrator.write("CREATE PUBLICATION news FOR ALL TABLES")
    follow(replica, published)
    columns = "(LIKE sis.kid)"
    published.capture().install(published=True)
    for table in ("outbox", "cursor"):
        made = published.administrator.ask(
            "SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod),"
            f" ', ') FROM pg_attribute WHERE attrelid = '{OURS}.{table}'::regclass AND attnum > 0"
        )
        columns = f"({made[0][0]})"
        replica.execute(f"CREATE SCHEMA IF NOT EXISTS {OURS}")
        replica.execute(f"CREATE TABLE {OURS}.{table} {columns}")

    published.application.write("INSERT INTO score VALUES (2, 18, NULL, NULL)")

    arrives(replica, 2)


# A subscription that writes the SIS


def test_what_a_subscription_writes_is_not_captured_and_that_is_told(
    published: School, replica: psycopg.Connection, school: School
) -> None:
    """Here the SIS itself follows another database."""
    published.administrator.write("CREATE PUBLICATION news FOR TABLES IN SCHEMA sis")
    grant(school)
    school.capture().install()
    school.administrator.write(
        f"CREATE SUBSCRIPTION news CONNECTION '{conninfo(published.url)}' PUBLICATION news"
    )
    follow_nothing(replica, published)
    try:
        [concern] = concerns(school)
        assert "subscription news" in concern.problem
        school.owner.write(concern.remedy.partition(": ")[2])
        assert concerns(school) == []
        assert [one.state for one in school.capture().check()] == ["in place"]
        published.application.write("INSERT INTO score VALUES (7, 17, NULL, NULL)")
        wait_until(
            lambda: [change.key for change in school.changes()] == ["7"],
            within=PATIENCE, what="the trigger fires for what the subscription writes",
        )  # fmt: skip
    finally:
        school.administrator.write(
            "ALTER SUBSCRIPTION news DISABLE",
            "ALTER SUBSCRIPTION news SET (slot_name = NONE)",
            "DROP SUBSCRIPTION news",
        )
        published.administrator.write(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
        )


def follow_nothing(replica: psycopg.Connection, school: School) -> None:
    """What the fixture takes away in the end."""
    replica.execute(
        f"CREATE SUBSCRIPTION news CONNECTION '{conninfo(school.url)}' PUBLICATION news"
        " WITH (connect = false)"
    )


# Tables of other kinds


@pytest.mark.parametrize(
    ("made", "table", "told"),
    [
        (["CREATE TABLE old_score () INHERITS (score)"], "score", "old_score, which inherit"),
        (["ALTER TABLE score SET UNLOGGED"], "score", "unlogged"),
        (
            ["CREATE MATERIALIZED VIEW seen AS SELECT id, points FROM score"],
            "seen", "materialized view",
        ),
    ],
)  # fmt: skip
def test_tables_of_which_not_everything_is_seen(
    guest: School, made: Sequence[str], table: str, told: str
) -> None:
    guest.owner.write(*made)
    [concern] = concerns(guest, a_definition(a_watch(table=f"sis.{table}")))
    assert told in concern.problem
    assert concern.remedy


def test_a_foreign_table_is_told(guest: School) -> None:
    guest.administrator.write(
        "CREATE EXTENSION postgres_fdw", "CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw",
        f"GRANT USAGE ON FOREIGN SERVER other TO {SIS}",
    )  # fmt: skip
    guest.owner.write("CREATE FOREIGN TABLE far (id integer, points numeric) SERVER other")
    [concern] = concerns(guest, a_definition(a_watch(table="sis.far")))
    assert "foreign table" in concern.problem


def test_partitions_are_nothing_to_be_told(guest: School) -> None:
    guest.owner.write(
        "CREATE TABLE mark (id integer PRIMARY KEY, points numeric) PARTITION BY RANGE (id)",
        "CREATE TABLE mark_1 PARTITION OF mark FOR VALUES FROM (0) TO (100)",
        f"GRANT INSERT ON mark TO {APPLICATION}",
    )
    definition = a_definition(a_watch(table="sis.mark"))
    guest.capture(definition).install()
    assert concerns(guest, definition) == []

    guest.owner.write(
        "CREATE TABLE mark_2 (LIKE mark INCLUDING ALL)",
        "ALTER TABLE mark ATTACH PARTITION mark_2 FOR VALUES FROM (100) TO (200)",
    )
    guest.application.write("INSERT INTO mark VALUES (1, 7), (150, 8)")
    assert [change.key for change in guest.changes()] == ["1", "150"]


# TRUNCATE


def test_a_table_that_was_emptied_is_told_for_a_day(guest: School) -> None:
    guest.capture().install()
    guest.application.write("INSERT INTO score VALUES (1, 17, NULL, 1)", "TRUNCATE score")
    [concern] = concerns(guest)
    assert "sis.score was emptied by TRUNCATE" in concern.problem
    assert "schoolbell sync" in concern.remedy

    guest.application.write("TRUNCATE score")
    assert len(concerns(guest)) == 1

    guest.administrator.write(f"UPDATE {OURS}.emptied SET at = at - interval '1 day'")
    assert concerns(guest) == []


def test_what_is_emptied_and_rolled_back_is_nothing(guest: School) -> None:
    guest.capture().install()
    guest.application.begin()
    guest.application.write("TRUNCATE score")
    guest.application.roll_back()
    assert concerns(guest) == []


@pytest.mark.parametrize(
    "harm",
    [
        f"DROP TABLE {OURS}.emptied",
        f"ALTER TABLE {OURS}.emptied RENAME at TO moment",
        f"ALTER TABLE {OURS}.emptied ADD CONSTRAINT never CHECK (false)",
    ],
)
def test_it_never_stops_the_school(guest: School, harm: str) -> None:
    guest.capture().install()
    guest.administrator.write(harm)
    guest.application.write("INSERT INTO score VALUES (1, 17, NULL, 1)", "TRUNCATE score")
    assert guest.application.ask("SELECT FROM score") == []


def test_a_trigger_for_it_that_somebody_disabled_is_seen_and_mended(guest: School) -> None:
    guest.capture().install()
    guest.owner.write('ALTER TABLE score DISABLE TRIGGER "schoolbell_district_score.truncate"')
    [finding] = guest.capture().check()
    assert finding.state == "without schoolbell_district_score.truncate"
    assert [one.state for one in guest.capture().install()] == ["in place"]


def test_an_owner_whose_dump_fails_is_told(guest: School) -> None:
    guest.capture().install()
    guest.administrator.write(f"REVOKE USAGE ON SCHEMA {OURS} FROM {SIS}")
    [concern] = concerns(guest)
    assert concern.subject == f"role {SIS}"
    guest.capture().install()
    assert concerns(guest) == []


@pytest.mark.parametrize("ours", [timedelta(), timedelta(minutes=4), timedelta(minutes=-4)])
def test_a_clock_that_is_nearly_right_is_no_concern(school: School, ours: timedelta) -> None:
    with school.database().read() as connection:
        assert list(clock.found(connection, datetime.now(UTC) + ours)) == []


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (timedelta(hours=2), "120 minutes behind"),
        (timedelta(minutes=-30), "30 minutes ahead of"),
    ],
)
def test_a_clock_that_is_wrong_is_told(school: School, ours: timedelta, told: str) -> None:
    with school.database().read() as connection:
        [concern] = clock.found(connection, datetime.now(UTC) + ours)
    assert told in concern.problem
