"""The cost of a read: it does not grow with what was relayed, nor with what waits."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.sources.sis import SCORE, Sis, selects

HISTORY = BACKLOG = 100_000
LIMIT = 500
GAPS = "{[7,8),[9,12)}"

Plan = dict[str, Any]


def test_sqlite_begins_a_read_where_the_last_one_ended(empty_sqlite_sis: Sis) -> None:
    sis = _long_in_use(empty_sqlite_sis)
    sis.write(f"UPDATE schoolbell_cursor_district SET high = {HISTORY}")
    statement, values = _the_read_of(sis, "schoolbell_outbox_district")
    plan = sis.program().connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    assert [step[-1] for step in plan] == [
        "SEARCH schoolbell_outbox_district USING INTEGER PRIMARY KEY (rowid>?)"
    ]


# After some rounds PostgreSQL plans without knowing the parameters: that must be as good.
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_postgresql_reads_by_the_index_no_more_rows_than_it_gives(
    empty_postgres_sis: Sis, mode: str
) -> None:
    sis = _long_in_use(empty_postgres_sis)
    sis.write(
        "DELETE FROM schoolbell_capture_district.outbox WHERE id IN (7, 9, 10)",  # 11 has just come
        f"UPDATE schoolbell_capture_district.cursor SET high = {HISTORY}, gaps = '{GAPS}'",
        "ANALYZE schoolbell_capture_district.outbox",
    )
    statement, values = _the_read_of(sis, "schoolbell_capture_district.outbox")
    numbered = {"starts": "$1", "stops": "$2", "high": "$3", "limit": "$4"}
    sis.write(
        f"SET plan_cache_mode = {mode}",
        f"PREPARE a_read (bigint[], bigint[], bigint, bigint) AS {statement % numbered}",
    )
    [plan] = sis.one(
        "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE a_read ("
        f"'{{7,9}}', '{{8,12}}', {values['high']}, {values['limit']})"
    )
    looked_at = [
        (
            node["Node Type"],
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"],
        )
        for node in _nodes(plan["Plan"])
        if node.get("Relation Name") == "outbox"
    ]
    assert {kind for kind, _ in looked_at} <= {"Index Scan", "Bitmap Heap Scan"}
    assert 0 < sum(rows for _, rows in looked_at) <= LIMIT + 1


def _long_in_use(sis: Sis) -> Sis:
    sis.write(SCORE)
    sis.watch()
    table = "schoolbell_outbox_district" if sis.is_sqlite else "schoolbell_capture_district.outbox"
    sis.write(
        f"INSERT INTO {table} (event_id, watch, key, after, at) WITH RECURSIVE n (n) AS"
        f" (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {HISTORY + BACKLOG})"
        " SELECT '01a20377-d2f4-77f5-b548-5ecbc04cab2a', 'score', n, '{}',"
        " '2026-11-23 08:00:00+00:00' FROM n"
    )
    return sis


def _the_read_of(sis: Sis, table: str) -> tuple[str, Any]:
    """The statement with which the relay reads, and its parameters."""
    outbox = sis.outbox()
    assert outbox.acquire()
    with selects(sis.databases[-1]) as sent:
        assert len(outbox.read(LIMIT)) == LIMIT
    [read] = [one for one in sent if table in one[0]]
    return read


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
