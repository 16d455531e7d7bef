"""Capture: what a write leaves in the outbox, whoever wrote it."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from engine.wire.messages import Changes, decode, encode
from rules.change import Change, Op
from tests.engine.sources.sis import Sis, a_watch, conninfo
from tests.servers import find_program
from tests.servers.postgres import BINARIES

Told = tuple[Op, str, Any, Any]


def told(sis: Sis) -> list[Told]:
    """What was captured, without identity and time."""
    return [(one.op, one.key, one.before, one.after) for one in sis.changes()]


def points(before: Any, after: Any, key: str = "1", op: Op = Op.UPDATE) -> Told:
    """A captured change of points."""
    return op, key, {"points": before}, {"points": after}


def scored(value: Any, key: str = "1") -> Told:
    """A captured insert."""
    return Op.INSERT, key, None, {"points": value}


class TestEveryWriter:
    """Whoever commits a change is heard."""

    def test_an_insert_is_captured(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert told(sis) == [scored(7)]

    def test_an_update_is_captured_with_the_values_before_and_after(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "UPDATE score SET points = 8")
        assert told(sis) == [scored(7), points(7, 8)]

    def test_a_delete_is_captured_with_the_values_before(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "DELETE FROM score")
        assert told(sis)[1:] == [(Op.DELETE, "1", {"points": 7}, None)]

    def test_one_statement_that_changes_many_rows_is_captured_row_by_row(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL), (2, 8, NULL), (3, 9, NULL)")
        assert told(sis) == [scored(7, "1"), scored(8, "2"), scored(9, "3")]

    def test_an_upsert_that_inserts_is_an_insert(self, sis: Sis) -> None:
        sis.write(_upsert(7))
        assert told(sis) == [scored(7)]

    def test_an_upsert_that_updates_is_an_update(self, sis: Sis) -> None:
        sis.write(_upsert(7), _upsert(8))
        assert told(sis)[1:] == [points(7, 8)]

    def test_an_upsert_that_changes_nothing_is_no_change(self, sis: Sis) -> None:
        sis.write(_upsert(7), _upsert(7))
        assert told(sis) == [scored(7)]

    def test_an_orm_session_is_captured(self, sis: Sis) -> None:
        engine = create_engine(sis.url)
        with Session(engine) as session:
            score = Score(id=1, points=7)
            session.add(score)
            session.commit()
            score.points = 8
            session.commit()
            session.delete(score)
            session.commit()
        engine.dispose()
        assert told(sis) == [scored(7), points(7, 8), (Op.DELETE, "1", {"points": 8}, None)]

    def test_a_bulk_insert_of_the_driver_is_captured(self, sis: Sis) -> None:
        mark = "?" if sis.is_sqlite else "%s"
        connection = sis.program().connection
        cursor = connection.cursor()
        statement = f"INSERT INTO score (id, points) VALUES ({mark}, {mark})"
        cursor.executemany(statement, [(1, 7), (2, 8)])
        cursor.close()
        assert told(sis) == [scored(7, "1"), scored(8, "2")]

    def test_a_bulk_update_of_an_orm_is_captured(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL), (2, 8, NULL)")
        engine = create_engine(sis.url)
        with Session(engine) as session:
            session.query(Score).update({Score.points: Score.points + 1})
            session.commit()
        engine.dispose()
        assert told(sis)[2:] == [points(7, 8, "1"), points(8, 9, "2")]

    def test_copy_is_captured(self, postgres_sis: Sis) -> None:
        with (
            postgres_sis.program().connection.cursor() as cursor,
            cursor.copy("COPY score (id, points) FROM STDIN") as copy,
        ):
            copy.write("1\t7\n2\t8\n")
        assert told(postgres_sis) == [scored(7, "1"), scored(8, "2")]

    def test_psql_is_captured(self, postgres_sis: Sis) -> None:
        subprocess.run(
            [
                find_program("psql", BINARIES), "--no-psqlrc", "--quiet",
                "--command", "INSERT INTO score VALUES (1, 7, 'by hand')",
                conninfo(postgres_sis.url),
            ],
            check=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert told(postgres_sis) == [scored(7)]

    def test_another_process_on_the_same_file_is_captured(self, sqlite_sis: Sis) -> None:
        path = make_url(sqlite_sis.url).database
        program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]);"
        statement = "INSERT INTO score VALUES (1, 7, 'by hand')"
        subprocess.run(
            [sys.executable, "-c", f"{program} c.commit()", str(path), statement], check=True
        )
        assert told(sqlite_sis) == [scored(7)]

    def test_a_role_without_any_right_on_our_schema_can_still_write(
        self, postgres_sis: Sis
    ) -> None:
        postgres_sis.write(
            "CREATE ROLE teacher", "GRANT USAGE ON SCHEMA public TO teacher",
            "GRANT INSERT ON score TO teacher",
        )  # fmt: skip
        try:
            postgres_sis.write("SET ROLE teacher", "INSERT INTO score VALUES (1, 7, NULL)")
        finally:
            postgres_sis.write("RESET ROLE", "DROP OWNED BY teacher", "DROP ROLE teacher")
        assert told(postgres_sis) == [scored(7)]

    def test_a_writer_with_a_search_path_of_its_own_is_captured(self, postgres_sis: Sis) -> None:
        postgres_sis.write(
            "CREATE SCHEMA own",
            "CREATE FUNCTION own.lower(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'",
            "SET search_path = own, pg_catalog",
            "INSERT INTO public.score VALUES (1, 7, NULL)",
        )
        assert told(postgres_sis) == [scored(7)]

    def test_nothing_of_a_writers_own_runs_with_our_rights(self, postgres_sis: Sis) -> None:
        trap = "LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped''; END'"
        postgres_sis.write(
            "CREATE SCHEMA own",
            f"CREATE FUNCTION own.equal(text, text) RETURNS boolean {trap}",
            f"CREATE FUNCTION own.equal(jsonb, jsonb) RETURNS boolean {trap}",
            f"CREATE FUNCTION own.part(jsonb, text[]) RETURNS text {trap}",
            f"CREATE FUNCTION own.to_regclass(text) RETURNS regclass {trap}",
            f"CREATE FUNCTION own.to_jsonb(integer) RETURNS jsonb {trap}",
            f"CREATE FUNCTION own.jsonb_build_object(text, numeric) RETURNS jsonb {trap}",
            f"CREATE FUNCTION own.gen_random_uuid() RETURNS uuid {trap}",
            f"CREATE FUNCTION own.clock_timestamp() RETURNS timestamptz {trap}",
            "CREATE OPERATOR own.= (LEFTARG = text, RIGHTARG = text, FUNCTION = own.equal)",
            "CREATE OPERATOR own.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = own.equal)",
            "CREATE OPERATOR own.= (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = own.equal)",
            "CREATE OPERATOR own.#>> (LEFTARG = jsonb, RIGHTARG = text[], FUNCTION = own.part)",
            "CREATE DOMAIN own.jsonb AS integer CHECK (VALUE < 0)",
            "CREATE DOMAIN own.text AS integer CHECK (VALUE < 0)",
            "SET search_path = own, pg_catalog",
            "INSERT INTO public.score VALUES (1, 7, NULL)",
            "UPDATE public.score SET points = 8",
            "DELETE FROM public.score",
        )
        assert told(postgres_sis) == [
            scored(7), (Op.UPDATE, "1", {"points": 7}, {"points": 8}),
            (Op.DELETE, "1", {"points": 8}, None),
        ]  # fmt: skip

    def test_a_cascading_delete_is_captured(self, empty_sis: Sis) -> None:
        empty_sis.write(
            "CREATE TABLE work (id integer PRIMARY KEY)",
            "CREATE TABLE score (id integer PRIMARY KEY, points integer,"
            " work_id integer REFERENCES work (id) ON DELETE CASCADE)",
            "INSERT INTO work VALUES (5)",
            "INSERT INTO score VALUES (1, 7, 5), (2, 8, 5)",
        )
        empty_sis.watch()
        empty_sis.write("DELETE FROM work")
        assert sorted(told(empty_sis)) == [
            (Op.DELETE, "1", {"points": 7}, None),
            (Op.DELETE, "2", {"points": 8}, None),
        ]

    def test_a_cascading_update_is_captured(self, empty_sis: Sis) -> None:
        empty_sis.write(
            "CREATE TABLE session (id integer PRIMARY KEY, day text, UNIQUE (id, day))",
            "CREATE TABLE placement (id integer PRIMARY KEY, session_id integer, day text,"
            " FOREIGN KEY (session_id, day) REFERENCES session (id, day) ON UPDATE CASCADE)",
            "INSERT INTO session VALUES (5, 'Monday')",
            "INSERT INTO placement VALUES (1, 5, 'Monday')",
        )
        empty_sis.watch(a_watch("placement", table="placement", columns=("day",)))
        empty_sis.write("UPDATE session SET day = 'Friday'")
        assert told(empty_sis) == [(Op.UPDATE, "1", {"day": "Monday"}, {"day": "Friday"})]


class TestOnlyWhatIsCommitted:
    """A committed watched change always has a row; a rolled-back one never."""

    def test_nothing_is_heard_before_the_commit(self, sis: Sis) -> None:
        writer = sis.program()
        writer.begin()
        writer.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert told(sis) == []
        writer.commit()

    def test_every_change_of_a_committed_transaction_is_heard(self, sis: Sis) -> None:
        with sis.transaction():
            sis.write("INSERT INTO score VALUES (1, 7, NULL)", "INSERT INTO score VALUES (2, 8, 0)")
        assert told(sis) == [scored(7, "1"), scored(8, "2")]

    def test_nothing_of_a_rolled_back_transaction_is_heard(self, sis: Sis) -> None:
        writer = sis.program()
        writer.begin()
        writer.write("INSERT INTO score VALUES (1, 7, NULL)")
        writer.roll_back()
        assert told(sis) == []

    def test_nothing_after_a_savepoint_that_was_rolled_back_to_is_heard(self, sis: Sis) -> None:
        with sis.transaction():
            sis.write(
                "INSERT INTO score VALUES (1, 7, NULL)",
                "SAVEPOINT mistake",
                "UPDATE score SET points = 8",
                "ROLLBACK TO SAVEPOINT mistake",
                "INSERT INTO score VALUES (2, 9, NULL)",
            )
        assert told(sis) == [scored(7, "1"), scored(9, "2")]

    def test_what_follows_a_released_savepoint_is_heard(self, sis: Sis) -> None:
        with sis.transaction():
            sis.write(
                "SAVEPOINT step", "INSERT INTO score VALUES (1, 7, NULL)", "RELEASE SAVEPOINT step"
            )
        assert told(sis) == [scored(7)]

    def test_nothing_of_a_statement_that_failed_is_heard(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (2, 8, NULL)")
        with pytest.raises(Exception, match=r"(?i)unique"):
            sis.write("INSERT INTO score VALUES (1, 7, NULL), (2, 9, NULL)")
        assert told(sis) == [scored(8, "2")]


class TestOnlyWhatIsWatched:
    """Only the watched columns and the key are stored, and only a change in one of them counts."""

    def test_only_the_watched_columns_and_the_key_are_stored(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, 'a remark about a child')")
        stored = sis.ask(f"SELECT * FROM {_outbox(sis)}")
        assert "remark" not in str(stored)

    def test_a_save_that_changes_nothing_is_no_change(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "UPDATE score SET points = 7")
        assert told(sis) == [scored(7)]

    def test_a_save_that_leaves_nothing_nothing_is_no_change(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, NULL, NULL)", "UPDATE score SET points = NULL")
        assert told(sis) == [scored(None)]

    def test_a_change_of_another_column_is_no_change(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "UPDATE score SET comment = 'late'")
        assert told(sis) == [scored(7)]

    def test_a_value_that_is_cleared_is_a_change(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "UPDATE score SET points = NULL")
        assert told(sis)[1:] == [points(7, None)]

    def test_another_key_alone_is_no_change(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "UPDATE score SET id = 2")
        assert told(sis) == [scored(7)]

    def test_a_change_that_comes_with_another_key_has_the_new_key(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "UPDATE score SET id = 2, points = 8")
        assert told(sis)[1:] == [points(7, 8, "2")]

    def test_each_watch_of_a_table_hears_its_own_columns(self, empty_sis: Sis) -> None:
        empty_sis.write(
            "CREATE TABLE grade (id integer PRIMARY KEY, percent integer, posted integer)",
            "INSERT INTO grade VALUES (1, 90, 0)",
        )
        empty_sis.watch(
            a_watch("percent", table="grade", columns=("percent",)),
            a_watch("posting", table="grade", columns=("posted", "percent")),
            a_watch("posted", table="grade", columns=("posted",)),
        )
        empty_sis.write("UPDATE grade SET posted = 1")
        heard = {change.watch: change.after for change in empty_sis.changes()}
        assert heard == {"posting": {"posted": 1, "percent": 90}, "posted": {"posted": 1}}

    def test_truncate_is_missed(self, postgres_sis: Sis) -> None:
        postgres_sis.write("INSERT INTO score VALUES (1, 7, NULL)", "TRUNCATE score")
        assert told(postgres_sis) == [scored(7)]

    def test_a_writer_in_the_role_of_a_replica_is_missed(self, postgres_sis: Sis) -> None:
        postgres_sis.write(
            "SET session_replication_role = replica", "INSERT INTO score VALUES (1, 7, NULL)"
        )
        assert told(postgres_sis) == []

    def test_what_update_or_replace_deletes_is_missed(self, sqlite_sis: Sis) -> None:
        sqlite_sis.write(
            "INSERT INTO score VALUES (1, 7, NULL), (2, 8, NULL)",
            "UPDATE OR REPLACE score SET id = 1 WHERE id = 2",
        )
        assert [one.op for one in sqlite_sis.changes()] == [Op.INSERT, Op.INSERT]

    @pytest.mark.parametrize("trap", ["TRUNCATE", "session_replication_role"])
    def test_check_says_what_postgresql_would_miss(self, postgres_sis: Sis, trap: str) -> None:
        [finding] = postgres_sis.capture(postgres_sis.watch()).check()
        assert trap in finding.missed

    def test_check_says_what_sqlite_would_miss(self, sqlite_sis: Sis) -> None:
        [finding] = sqlite_sis.capture(sqlite_sis.watch()).check()
        assert "UPDATE OR REPLACE" in finding.missed


class TestIdentity:
    """Each change has a time-ordered id of its own, made in the SIS's transaction."""

    def test_ids_are_unique(self, sis: Sis) -> None:
        sis.write(_many(500))
        assert len({change.id for change in sis.changes()}) == 500

    def test_ids_are_uuids_of_version_7(self, sis: Sis) -> None:
        sis.write(_many(500))
        ids = [UUID(change.id) for change in sis.changes()]
        assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}

    def test_an_id_says_when_the_change_was_made(self, sis: Sis) -> None:
        slack = timedelta(milliseconds=2)  # ids are rounded to milliseconds
        start = datetime.now(UTC)
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        made = datetime.fromtimestamp((UUID(sis.change().id).int >> 80) / 1000, UTC)
        assert start - slack <= made <= datetime.now(UTC) + slack

    def test_a_change_says_when_it_was_made(self, sis: Sis) -> None:
        slack = timedelta(milliseconds=2)  # SQLite keeps milliseconds
        start = datetime.now(UTC)
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert start - slack <= sis.change().at <= datetime.now(UTC) + slack

    def test_ids_of_later_changes_do_not_lie_before(self, sis: Sis) -> None:
        sis.write(_many(1))
        for _ in range(200):
            sis.write("UPDATE score SET points = points + 1")
        milliseconds = [UUID(change.id).int >> 80 for change in sis.changes()]
        assert milliseconds == sorted(milliseconds)


class TestUnusualTables:
    """SIS tables are as they are."""

    def test_a_table_without_a_primary_key_is_captured(self, empty_sis: Sis) -> None:
        empty_sis.write("CREATE TABLE schedule (student integer, room text)")
        empty_sis.watch(SCHEDULE)
        empty_sis.write(
            "INSERT INTO schedule VALUES (1, 'A'), (1, 'B')", "UPDATE schedule SET room = 'C'"
        )
        assert told(empty_sis)[2:] == [
            (Op.UPDATE, "1", {"room": "A"}, {"room": "C"}),
            (Op.UPDATE, "1", {"room": "B"}, {"room": "C"}),
        ]

    def test_a_row_without_a_key_has_an_empty_one(self, empty_sis: Sis) -> None:
        empty_sis.write("CREATE TABLE schedule (student integer, room text)")
        empty_sis.watch(SCHEDULE)
        empty_sis.write("INSERT INTO schedule VALUES (NULL, 'A')")
        assert empty_sis.change().key == ""

    @pytest.mark.parametrize("key", ["A-1", 'quo"te', "it's", "back\\slash", "{a,b}", "子涵 😀"])
    def test_a_key_may_be_any_text(self, empty_sis: Sis, key: str) -> None:
        empty_sis.write("CREATE TABLE score (id text PRIMARY KEY, points integer)")
        empty_sis.watch()
        empty_sis.put("INSERT INTO score VALUES (?, 7)", key)
        assert empty_sis.change().key == key

    def test_names_may_be_in_mixed_case(self, empty_sis: Sis) -> None:
        empty_sis.write('CREATE TABLE "Score" ("ScoreId" integer PRIMARY KEY, "Points" integer)')
        empty_sis.watch(a_watch(table="Score", key="ScoreId", columns=("Points",)))
        empty_sis.write('INSERT INTO "Score" VALUES (1, 7)')
        assert told(empty_sis) == [(Op.INSERT, "1", None, {"Points": 7})]

    def test_names_may_be_words_of_sql(self, empty_sis: Sis) -> None:
        empty_sis.write('CREATE TABLE "order" ("user" integer PRIMARY KEY, "select" integer)')
        empty_sis.watch(a_watch(table="order", key="user", columns=("select",)))
        empty_sis.write('INSERT INTO "order" VALUES (1, 7)')
        assert told(empty_sis) == [(Op.INSERT, "1", None, {"select": 7})]

    def test_a_table_may_be_in_another_schema(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(
            'CREATE SCHEMA "Food"',
            'CREATE TABLE "Food"."Account" (id integer PRIMARY KEY, balance numeric)',
        )
        empty_postgres_sis.watch(a_watch(table="Food.Account", columns=("balance",)))
        empty_postgres_sis.write('INSERT INTO "Food"."Account" VALUES (1, 7)')
        assert told(empty_postgres_sis) == [(Op.INSERT, "1", None, {"balance": 7})]

    def test_tables_of_one_name_in_two_schemas_are_told_apart(
        self, empty_postgres_sis: Sis
    ) -> None:
        empty_postgres_sis.write(
            "CREATE SCHEMA last_year",
            "CREATE TABLE score (id integer PRIMARY KEY, points integer)",
            "CREATE TABLE last_year.score (id integer PRIMARY KEY, points integer)",
        )
        empty_postgres_sis.watch(a_watch(), a_watch("last-year", table="last_year.score"))
        empty_postgres_sis.write("INSERT INTO last_year.score VALUES (1, 7)")
        assert empty_postgres_sis.change().watch == "last-year"

    def test_a_write_to_a_partition_is_captured(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(*PARTITIONED)
        empty_postgres_sis.watch()
        empty_postgres_sis.write("INSERT INTO score_2026 VALUES (1, 7)")
        assert told(empty_postgres_sis) == [scored(7)]

    def test_as_many_columns_can_be_watched_as_a_definition_may_name(self, empty_sis: Sis) -> None:
        columns = tuple(f"c{number}" for number in range(50))
        names = ", ".join(f"{column} integer" for column in columns)
        empty_sis.write(f"CREATE TABLE wide (id integer PRIMARY KEY, {names})")
        empty_sis.watch(a_watch(table="wide", columns=columns))
        empty_sis.write("INSERT INTO wide (id, c49) VALUES (1, 7)")
        assert told(empty_sis) == [
            (Op.INSERT, "1", None, {**dict.fromkeys(columns), "c49": 7}),
        ]


class TestUnusualValues:
    """Whatever a column holds, the SIS can write it, and the change can be read and relayed."""

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "it's",
            'quo"te',
            "back\\slash",
            "line\nbreak",
            "\x01\x7f",
            "😀 子涵 é",
            "a" * 1_000_000,
        ],
        ids=["empty", "quote", "double", "backslash", "lines", "control", "emoji", "huge"],
    )
    def test_text_is_kept_as_it_is(self, empty_sis: Sis, value: str) -> None:
        empty_sis.write("CREATE TABLE note (id integer PRIMARY KEY, words text)")
        empty_sis.watch(a_watch(table="note", columns=("words",)))
        empty_sis.put("INSERT INTO note VALUES (1, ?)", value)
        assert _relayed(empty_sis.change()).after == {"words": value}

    @pytest.mark.parametrize(
        ("type_", "literal", "kept"),
        [
            ("numeric", "'NaN'", "NaN"),
            ("numeric", "'-Infinity'", "-Infinity"),
            ("float8", "'Infinity'", "Infinity"),
            ("numeric", "1e400", "1" + "0" * 400),
            ("numeric", "1.5e400", "15" + "0" * 399),
            ("numeric", "-12345678901234567890", "-12345678901234567890"),
            ("numeric", "repeat('9', 5000)::numeric", "9" * 5000),
            ("float8", "1e300", "1" + "0" * 300),
            ("bigint", "9223372036854775807", 9223372036854775807),
            ("boolean", "TRUE", True),
            ("date", "'2026-11-23'", "2026-11-23"),
            ("date", "'infinity'", "infinity"),
            ("timestamptz", "'2026-11-23 08:00+00'", "2026-11-23T08:00:00+00:00"),
            ("jsonb", """'{"a": [1, "x"]}'""", '{"a": [1, "x"]}'),
            ("integer[]", "'{1,2}'", "[1, 2]"),
            ("bytea", r"'\xff00'", r"\xff00"),
            ("char(3)", "'A'", "A  "),
        ],
    )
    def test_values_of_postgresql_are_kept_as_messages_can_carry_them(
        self, empty_postgres_sis: Sis, type_: str, literal: str, kept: Any
    ) -> None:
        empty_postgres_sis.write(f"CREATE TABLE score (id integer PRIMARY KEY, points {type_})")
        empty_postgres_sis.watch()
        empty_postgres_sis.write(f"INSERT INTO score VALUES (1, {literal})")
        assert _relayed(empty_postgres_sis.change()).after == {"points": kept}

    @pytest.mark.parametrize(
        ("literal", "kept"),
        [
            ("9e999", "Inf"),
            ("-9e999", "-Inf"),
            ("'9e999'", "9e999"),
            ("9223372036854775807", 9223372036854775807),
            ("-9223372036854775808", -9223372036854775808),
            ("1e300", 1e300),
            ("0.1", 0.1),
            ("x'ff00'", None),
            ("CAST(x'41ff42' AS text)", "A�B"),
            ("'a' || char(0) || 'b'", "a\0b"),
            ("'{\"a\": 1}'", '{"a": 1}'),
        ],
    )
    def test_values_of_sqlite_are_kept_as_messages_can_carry_them(
        self, empty_sqlite_sis: Sis, literal: str, kept: Any
    ) -> None:
        empty_sqlite_sis.write("CREATE TABLE score (id integer PRIMARY KEY, points)")
        empty_sqlite_sis.watch()
        empty_sqlite_sis.write(f"INSERT INTO score VALUES (1, {literal})")
        assert _relayed(empty_sqlite_sis.change()).after == {"points": kept}

    def test_a_blob_that_changes_is_a_change_of_nothing_to_nothing(
        self, empty_sqlite_sis: Sis
    ) -> None:
        empty_sqlite_sis.write(
            "CREATE TABLE score (id integer PRIMARY KEY, points)",
            "INSERT INTO score VALUES (1, x'00')",
        )
        empty_sqlite_sis.watch()
        empty_sqlite_sis.write("UPDATE score SET points = x'01'")
        assert told(empty_sqlite_sis) == [points(None, None)]

    @pytest.mark.parametrize("document", [r'{"a": "\u0000"}', '{"a": 1e1000000}'])
    def test_an_unwatched_column_may_hold_what_jsonb_cannot(
        self, empty_postgres_sis: Sis, document: str
    ) -> None:
        empty_postgres_sis.write(
            "CREATE TABLE score (id integer PRIMARY KEY, points integer, document json)"
        )
        empty_postgres_sis.watch()
        empty_postgres_sis.put("INSERT INTO score VALUES (1, 7, ?)", document)
        assert told(empty_postgres_sis) == [scored(7)]

    def test_a_watched_column_that_jsonb_cannot_hold_does_not_stop_the_school(
        self, empty_postgres_sis: Sis
    ) -> None:
        empty_postgres_sis.write("CREATE TABLE score (id integer PRIMARY KEY, points json)")
        empty_postgres_sis.watch()
        empty_postgres_sis.write(r"""INSERT INTO score VALUES (1, '"\u0000"')""")
        assert empty_postgres_sis.one("SELECT count(*) FROM score") == 1


class TestUpgradesOfTheSis:
    """An upgrade of the SIS knows nothing of our triggers, and must not trip over them."""

    @pytest.mark.parametrize(
        "upgrade", ["ALTER TABLE score DROP points", "ALTER TABLE score RENAME points TO mark"]
    )
    def test_a_watched_column_that_is_gone_does_not_break_a_write(
        self, postgres_sis: Sis, upgrade: str
    ) -> None:
        postgres_sis.write("INSERT INTO score VALUES (1, 7, NULL)", upgrade)
        postgres_sis.write("UPDATE score SET comment = 'x'", "DELETE FROM score")
        assert postgres_sis.one("SELECT count(*) FROM score") == 0

    def test_the_columns_that_are_left_are_still_captured(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(
            "CREATE TABLE grade (id integer PRIMARY KEY, percent integer, mark text)",
            "INSERT INTO grade VALUES (1, 90, 'A')",
        )
        empty_postgres_sis.watch(a_watch(table="grade", columns=("percent", "mark")))
        empty_postgres_sis.write("ALTER TABLE grade DROP mark", "UPDATE grade SET percent = 80")
        assert told(empty_postgres_sis) == [
            (Op.UPDATE, "1", {"percent": 90, "mark": None}, {"percent": 80, "mark": None})
        ]

    def test_a_renamed_key_leaves_changes_without_one(self, postgres_sis: Sis) -> None:
        postgres_sis.write(
            "ALTER TABLE score RENAME id TO score_id", "INSERT INTO score VALUES (1, 7, NULL)"
        )
        assert told(postgres_sis) == [scored(7, key="")]

    def test_a_session_that_knew_the_old_type_of_a_column_can_still_write(
        self, postgres_sis: Sis
    ) -> None:
        writer = postgres_sis.program()
        writer.write("INSERT INTO score VALUES (1, 7, NULL)")
        postgres_sis.write("ALTER TABLE score ALTER points TYPE text USING 'seven'")
        writer.write("UPDATE score SET points = 'eight'")
        assert told(postgres_sis)[1:] == [points("seven", "eight")]

    def test_a_dropped_outbox_does_not_break_a_write(self, postgres_sis: Sis) -> None:
        postgres_sis.write(
            "INSERT INTO score VALUES (1, 7, NULL)", "DROP TABLE schoolbell_capture_district.outbox"
        )
        postgres_sis.write("UPDATE score SET points = 8")
        assert postgres_sis.one("SELECT points FROM score") == 8

    def test_a_dropped_schema_does_not_break_a_write(self, postgres_sis: Sis) -> None:
        postgres_sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        postgres_sis.write(
            "DROP SCHEMA schoolbell_capture_district CASCADE", "UPDATE score SET points = 8"
        )
        assert postgres_sis.one("SELECT points FROM score") == 8

    def test_an_outbox_that_is_made_again_is_written_to_by_sessions_that_knew_the_old_one(
        self, postgres_sis: Sis
    ) -> None:
        postgres_sis.write(
            "INSERT INTO score VALUES (1, 7, NULL)", "DROP TABLE schoolbell_capture_district.outbox"
        )
        postgres_sis.watch()
        postgres_sis.write("UPDATE score SET points = 8")
        assert told(postgres_sis) == [points(7, 8)]

    def test_sqlite_itself_keeps_an_upgrade_from_dropping_a_watched_column(
        self, sqlite_sis: Sis
    ) -> None:
        with pytest.raises(Exception, match="trigger"):
            sqlite_sis.write("ALTER TABLE score DROP points")

    def test_sqlite_itself_carries_a_renamed_column_into_the_triggers(
        self, sqlite_sis: Sis
    ) -> None:
        sqlite_sis.write(
            "ALTER TABLE score RENAME points TO mark", "INSERT INTO score VALUES (1, 7, NULL)"
        )
        assert told(sqlite_sis) == [scored(7)]


class Base(DeclarativeBase):
    """The models of a SIS that is written with an ORM."""


class Score(Base):
    """A row of the table score."""

    __tablename__ = "score"
    id: Mapped[int] = mapped_column(primary_key=True)
    points: Mapped[int]


SCHEDULE = a_watch(
    "schedule", table="schedule", key="student", key_without_constraint=True, columns=("room",)
)
PARTITIONED = (
    "CREATE TABLE score (id integer PRIMARY KEY, points integer) PARTITION BY RANGE (id)",
    "CREATE TABLE score_2026 PARTITION OF score FOR VALUES FROM (0) TO (100)",
)


def _upsert(value: int) -> str:
    return (
        f"INSERT INTO score (id, points) VALUES (1, {value})"
        " ON CONFLICT (id) DO UPDATE SET points = excluded.points"
    )


def _many(count: int) -> str:
    return f"INSERT INTO score (id, points) VALUES {', '.join(f'({n}, {n})' for n in range(count))}"


def _outbox(sis: Sis) -> str:
    return "schoolbell_outbox_district" if sis.is_sqlite else "schoolbell_capture_district.outbox"


def _relayed(change: Change) -> Change:
    """The change after its way through the broker."""
    [arrived] = decode(encode(Changes([change])), Changes).items
    return arrived
