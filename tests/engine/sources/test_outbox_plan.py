"""The cost of a read: it does not grow with what was relayed, nor with what waits."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from engine.ports import Outbox
from tests.engine.sources.sis import SCORE, Sis, selects

HISTORY = BACKLOG = 100_000
LIMIT = 500
OUTBOX, CURSOR = "schoolbell_capture_district.outbox", "schoolbell_capture_district.cursor"

Plan = dict[str, Any]


def test_sqlite_begins_a_read_where_the_last_one_ended(empty_sqlite_sis: Sis) -> None:
    sis = _long_in_use(empty_sqlite_sis)
    sis.write(f"UPDATE schoolbell_cursor_district SET high = {HISTORY}")
    for statement, values in _sent_for_a_read(sis):
        plan = sis.program().connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        steps = [step[-1] for step in plan if "outbox" in step[-1]]
        assert all(step.startswith("SEARCH") for step in steps), steps


# After some rounds PostgreSQL plans without knowing the parameters: that must be as good.
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_postgresql_looks_at_no_more_rows_than_it_gives(empty_postgres_sis: Sis, mode: str) -> None:
    sis = _long_in_use(empty_postgres_sis)
    sis.write(f"UPDATE {CURSOR} SET high = (SELECT lsn FROM {OUTBOX} WHERE key = '{HISTORY}')")
    looked_at = _looked_at(sis, mode, _sent_for_a_read(sis))
    assert {kind for kind, _ in looked_at} <= {"Index Scan", "Index Only Scan"}
    assert LIMIT <= sum(rows for _, rows in looked_at) <= 2 * LIMIT


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_what_comes_late_is_found_without_what_was_relayed_meanwhile(
    empty_postgres_sis: Sis, mode: str
) -> None:
    sis = _long_in_use(empty_postgres_sis)
    # A transaction wrote ten rows among the first ones, and was seen to run ever since.
    sis.write(
        f"UPDATE {OUTBOX} SET xid = '700' WHERE key::integer BETWEEN 11 AND 20",
        f"UPDATE {CURSOR} SET seen = '700:701:700', bound = '701',"
        " high = pg_current_wal_insert_lsn()",
    )
    outbox = _acquired(sis)
    with selects(sis.databases[-1]) as sent:
        assert len(outbox.read(LIMIT)) == 10
    statements = [one for one in sent if OUTBOX in one[0]]
    looked_at = _looked_at(sis, mode, statements)
    assert {kind for kind, _ in looked_at} <= {"Index Scan", "Index Only Scan"}
    assert 10 <= sum(rows for _, rows in looked_at) <= 100


def _long_in_use(sis: Sis) -> Sis:
    sis.write(SCORE)
    sis.watch()
    table = "schoolbell_outbox_district" if sis.is_sqlite else OUTBOX
    own = ("", "") if sis.is_sqlite else (
        ", xid, hash, lsn", ", (n % 600 + 3)::text::xid8, n, pg_lsn '0/1' + n"
    )  # fmt: skip
    sis.write(
        f"INSERT INTO {table} (event_id, watch, key, after, at{own[0]}) WITH RECURSIVE n (n) AS"
        f" (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {HISTORY + BACKLOG})"
        " SELECT '01a20377-d2f4-77f5-b548-5ecbc04cab2a', 'score', n, '{}',"
        f" '2026-11-23 08:00:00+00:00'{own[1]} FROM n"
    )
    if not sis.is_sqlite:
        sis.write(f"VACUUM ANALYZE {OUTBOX}")
    return sis


def _acquired(sis: Sis) -> Outbox:
    outbox = sis.outbox()
    assert outbox.acquire()
    return outbox


def _sent_for_a_read(sis: Sis) -> list[tuple[str, Any]]:
    """The statements with which the relay reads the outbox, and their parameters."""
    outbox = _acquired(sis)
    with selects(sis.databases[-1]) as sent:
        assert len(outbox.read(LIMIT)) == LIMIT
    return [one for one in sent if "outbox" in one[0]]


def _looked_at(sis: Sis, mode: str, sent: list[tuple[str, Any]]) -> list[tuple[str, int]]:
    """How each statement finds the rows of the outbox, and how many it looks at."""
    found = []
    program = sis.program()
    program.write("SET enable_seqscan = off", "SET enable_bitmapscan = off", "SET jit = off",
                  f"SET plan_cache_mode = {mode}")  # fmt: skip
    for number, (statement, values) in enumerate(sent):
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
        numbered = {name: f"${place}" for place, name in enumerate(names, start=1)}
        program.write(f"PREPARE read_{number} AS {statement % numbered}")
        given = ", ".join(_literal(values[name]) for name in names)
        [plan] = program.one(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE read_{number} ({given})")
        found += [
            (
                node["Node Type"],
                (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
                * node["Actual Loops"],
            )
            for node in _nodes(plan["Plan"])
            if node.get("Relation Name") == "outbox"
        ]
    return found


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return "'{" + ",".join(map(str, value)) + "}'"
    return f"'{value}'"


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
