"""Whatever a watched column holds, the school can write it, and nothing stands still for it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from engine.dialects.rows import LARGEST, MOST_AT_ONCE
from engine.ports import Outbox
from engine.stages.publishing import MOST_BYTES, publish_changes
from engine.wire.messages import Changes, decode, encode
from rules.change import Change, Op
from tests.engine.sources.sis import Sis, a_watch
from tests.engine.stages.test_relay import FakePublisher

NOTE = "CREATE TABLE note (id integer PRIMARY KEY, points integer, words text)"
WATCH = a_watch("note", table="note", columns=("points", "words"))
DEEP = "(repeat('[', 3000) || repeat(']', 3000))"


@pytest.fixture
def notes(empty_sis: Sis) -> Sis:
    """A SIS with notes, which may be long."""
    empty_sis.write(NOTE)
    empty_sis.watch(WATCH)
    return empty_sis


@pytest.fixture
def documents(empty_postgres_sis: Sis) -> Sis:
    """A SIS with a watched column of type json beside the points."""
    empty_postgres_sis.write(
        "CREATE TABLE note (id integer PRIMARY KEY, points integer, words json)"
    )
    empty_postgres_sis.watch(WATCH)
    return empty_postgres_sis


def acquired(sis: Sis) -> Outbox:
    outbox = sis.outbox()
    assert outbox.acquire()
    return outbox


def long(sis: Sis, characters: int) -> str:
    """An expression that makes a text of so many characters."""
    return (
        f"replace(hex(zeroblob({characters // 2})), '00', 'xx')"
        if sis.is_sqlite
        else f"repeat('x', {characters})"
    )


def relayed(sis: Sis) -> list[Change]:
    """Everything that is relayed, after its way through the broker."""
    outbox, found = acquired(sis), []
    while changes := outbox.read(100):
        outbox.mark_relayed(changes)
        found += decode(encode(Changes(changes)), Changes).items
    outbox.release()
    return found


class TestTooLarge:
    """A change whose values are too large to carry is relayed without them; the others with."""

    def test_it_says_how_large_it_is_and_has_no_values(self, notes: Sis) -> None:
        notes.write(f"INSERT INTO note VALUES (1, 7, {long(notes, 2 * LARGEST)})")
        [change] = relayed(notes)
        assert 2 * LARGEST < change.too_large < 2 * LARGEST + 100
        assert (change.op, change.before, change.after) == (Op.INSERT, None, {})

    @pytest.mark.parametrize(
        ("statement", "op"),
        [("UPDATE note SET points = 8", Op.UPDATE), ("DELETE FROM note", Op.DELETE)],
    )
    def test_it_says_what_was_done(self, notes: Sis, statement: str, op: Op) -> None:
        notes.write(f"INSERT INTO note VALUES (1, 7, {long(notes, 2 * LARGEST)})", statement)
        assert relayed(notes)[1].op == op

    def test_what_comes_before_and_after_it_is_whole(self, notes: Sis) -> None:
        notes.write(
            "INSERT INTO note VALUES (1, 7, 'short')",
            f"INSERT INTO note VALUES (2, 7, {long(notes, 2 * LARGEST)})",
            f"INSERT INTO note VALUES (3, 7, {long(notes, LARGEST // 2)})",
        )
        first, second, third = relayed(notes)
        assert first.after == {"points": 7, "words": "short"}
        assert second.too_large
        assert len(str((third.after or {})["words"])) == LARGEST // 2

    def test_a_text_of_20_mb_is_one(self, notes: Sis) -> None:
        notes.write(f"INSERT INTO note VALUES (1, 7, {long(notes, 20_000_000)})")
        notes.write("INSERT INTO note VALUES (2, 7, '')")
        assert [bool(change.too_large) for change in relayed(notes)] == [True, False]

    def test_the_memory_of_a_relay_does_not_grow_with_what_waits(self, notes: Sis) -> None:
        for number in range(12):
            notes.write(f"INSERT INTO note VALUES ({number}, 7, {long(notes, LARGEST * 9 // 10)})")
            notes.write(f"INSERT INTO note VALUES ({number + 100}, 7, {long(notes, 4 * LARGEST)})")
        outbox = acquired(notes)
        tracemalloc.start()
        count = 0
        while changes := outbox.read(100):
            count += len(changes)
            outbox.mark_relayed(changes)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 24
        assert peak < 5 * MOST_AT_ONCE

    def test_messages_are_cut_by_bytes_and_a_records_changes_stay_in_order(
        self, notes: Sis
    ) -> None:
        for turn in range(6):
            notes.write(
                f"INSERT INTO note VALUES (1, {turn}, {long(notes, MOST_BYTES // 2)})"
                " ON CONFLICT (id) DO UPDATE SET points = excluded.points, words = excluded.words"
                f" || {turn}"
            )
        outbox, publisher = acquired(notes), FakePublisher(divided_into=4)
        while changes := outbox.read(100):
            publish_changes(publisher, changes)
            outbox.mark_relayed(changes)
        told = [decode(body, Changes).items for body in publisher.kept]
        points = [(one.after or {})["points"] for items in told for one in items]
        assert points == list(range(6))
        for body, items in zip(publisher.kept, told, strict=True):
            assert len(body) <= MOST_BYTES or len(items) == 1


class TestOddValues:
    """Values that some part of the way cannot hold."""

    def test_a_deep_json_value_is_carried_as_text(self, documents: Sis) -> None:
        documents.write(f"INSERT INTO note VALUES (1, 7, {DEEP}::json)")
        [change] = relayed(documents)
        assert change.after == {"points": 7, "words": "[" * 3000 + "]" * 3000}

    def test_what_comes_beside_a_deep_value_is_kept_apart_from_it(
        self, empty_postgres_sis: Sis
    ) -> None:
        sis = empty_postgres_sis
        sis.write("CREATE TABLE note (id integer PRIMARY KEY, a jsonb, b text, c json, d numeric)")
        sis.watch(a_watch("note", table="note", columns=("a", "b", "c", "d")))
        sis.put(
            f'INSERT INTO note VALUES (1, {DEEP}::jsonb, ?, \'{{"x": [1, {{"y": "]"}}]}}\', 1.5)',
            'a "quoted" , {text} \\',
        )
        [change] = relayed(sis)
        assert change.after == {
            "a": "[" * 3000 + "]" * 3000,
            "b": 'a "quoted" , {text} \\',
            "c": '{"x": [1, {"y": "]"}]}',
            "d": 1.5,
        }

    @pytest.mark.parametrize("document", [r'"\u0000"', r'{"a": "\u0000"}', r'"\ud800"'])
    def test_a_json_that_jsonb_cannot_hold_is_carried_as_text(
        self, documents: Sis, document: str
    ) -> None:
        documents.put("INSERT INTO note VALUES (1, 7, ?)", document)
        [change] = relayed(documents)
        assert change.after == {"points": 7, "words": document}

    def test_a_change_from_and_to_such_a_value_is_a_change(self, documents: Sis) -> None:
        documents.put("INSERT INTO note VALUES (1, 7, ?)", r'"\u0000"')
        documents.put("UPDATE note SET words = ?", '"A"')
        documents.put("UPDATE note SET words = ?", r'"\u0000"')
        assert [change.after for change in relayed(documents)[1:]] == [
            {"points": 7, "words": "A"}, {"points": 7, "words": r'"\u0000"'},
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("literal", "kept"),
        [
            ("CAST(x'eda080' AS text)", "���"),
            ("'a' || char(0) || 'b'", "a\0b"),
            ("9e999", "Inf"),
            ("1e300", 1e300),
        ],
        ids=["surrogate", "NUL", "infinity", "large"],
    )
    def test_sqlite_keeps_what_is_no_text(
        self, empty_sqlite_sis: Sis, literal: str, kept: Any
    ) -> None:
        empty_sqlite_sis.write("CREATE TABLE note (id integer PRIMARY KEY, points, words)")
        empty_sqlite_sis.watch(WATCH)
        empty_sqlite_sis.write(f"INSERT INTO note VALUES (1, 7, {literal})")
        [change] = relayed(empty_sqlite_sis)
        assert change.after == {"points": 7, "words": kept}

    def test_nothing_of_a_types_own_cast_to_text_runs_with_our_rights(self, documents: Sis) -> None:
        documents.write(
            "CREATE TYPE mood AS ENUM ('glad')",
            "CREATE FUNCTION trap(mood) RETURNS text LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''trapped''; END'",
            "CREATE CAST (mood AS text) WITH FUNCTION trap(mood) AS ASSIGNMENT",
            "ALTER TABLE note ALTER points TYPE mood USING 'glad'",
        )
        documents.put("INSERT INTO note VALUES (1, 'glad', ?)", r'"\u0000"')
        [change] = relayed(documents)
        assert change.after == {"points": "glad", "words": r'"\u0000"'}
