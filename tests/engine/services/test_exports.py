"""Exports: made in parts beside the portal, killed and gone on with, kept and erased."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from engine.errors import Unavailable
from engine.services import exports, tasks
from engine.services.broadcasts.refusals import NotNow, NotThere
from engine.services.exports import Export
from engine.services.staff import accounts
from engine.services.tasks import Standing
from engine.store import exports as stored
from engine.store.staff.tables import audit as audit_table
from engine.store.tables import broadcast_recipients, export_parts
from rules.audience import Audience
from rules.broadcasts import BroadcastId
from rules.exports import ExportState
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, StaffId
from tests.broadcasting import ALICE, BOB, Office
from tests.builders import NOW
from tests.district import ADA, District
from tests.exporting import exported

KEEP = timedelta(days=3)
MANY = 2_600
ENTRY = {"at": NOW, "who": "a test", "act": "refused", "subject": "x"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is more than one row is much, and a part is two."""
    monkeypatch.setattr("engine.services.exports.SMALL", 1)
    monkeypatch.setattr("engine.services.exports._AT_ONCE", 2)


@pytest.fixture
def told(district: District) -> BroadcastId:
    """A message, and what became of it for seven."""
    office = Office(district)
    name = office.send()
    office.tell()
    return name


def fill(district: District, count: int = MANY) -> None:
    with district.database.write() as connection:
        connection.execute(audit_table.insert(), [ENTRY] * count)


def turn(district: District) -> bool:
    return exports.go_on(district.database, lambda: NOW, pause=lambda _: None)


def make(district: District) -> None:
    while turn(district):
        pass


def now(district: District, one: Export) -> Export:
    found = tasks.any_task(district.database, one.id)
    assert isinstance(found, tasks.Export)
    return found.export


def content(district: District, one: Export) -> str:
    return b"".join(exports.downloaded(district.database, ALICE, one.id)).decode()


def acts(district: District) -> list[str]:
    query = select(audit_table.c.act).where(audit_table.c.act.like("export.%"))
    return [act for (act,) in district.rows(query.order_by(audit_table.c.id))]


def parts(district: District) -> int:
    return district.count(export_parts)


def test_what_is_small_is_given_at_once(district: District) -> None:
    fill(district, 3)
    assert len(exported(district.database).splitlines()) == 4
    assert acts(district) == ["export.downloaded"]


def test_what_is_large_is_made_aside_with_progress(district: District) -> None:
    fill(district)
    assert exports.at_once(district.database, ALICE, exports.of_audit()) is None
    assert acts(district) == []
    one = exports.begin(district.database, ALICE, exports.of_audit())
    assert (one.total, one.done) == (MANY, 0)

    make(district)

    made = now(district, one)
    assert (made.state, made.done, made.parts) == (ExportState.READY, MANY, 6)
    text = content(district, one)
    assert len(text.encode()) == made.size
    assert len(text.splitlines()) == MANY + 1
    assert acts(district) == ["export.started", "export.downloaded"]


def test_it_ends_with_what_there_was_when_it_began(district: District) -> None:
    fill(district)
    one = exports.begin(district.database, ALICE, exports.of_audit())
    fill(district, 5)
    make(district)
    assert len(content(district, one).splitlines()) == MANY + 1


@pytest.mark.usefixtures("small")
def test_both_ways_hold_the_same(
    district: District, told: BroadcastId, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = exports.of_recipients(told, EVERYWHERE)
    one = exports.begin(district.database, ALICE, wanted)
    make(district)
    monkeypatch.setattr("engine.services.exports.SMALL", 100)
    assert content(district, one) == exported(district.database, wanted)
    assert now(district, one).parts == 4


def test_asked_for_twice_it_is_made_once_and_nobody_has_many(
    district: District, told: BroadcastId
) -> None:
    database = district.database
    first = exports.begin(database, ALICE, exports.of_audit())
    assert exports.begin(database, ALICE, exports.of_audit()).id == first.id
    assert exports.begin(database, BOB, exports.of_audit()).id != first.id
    exports.begin(database, ALICE, exports.of_recipients(told, EVERYWHERE))
    other = BroadcastId(str(stored.new_id(NOW)))
    exports.begin(database, ALICE, exports.of_recipients(other, EVERYWHERE))
    with pytest.raises(NotNow, match="3 exports of yours"):
        exports.begin(database, ALICE, exports.of_recipients(first.id, EVERYWHERE))  # type: ignore[arg-type]


@pytest.mark.usefixtures("small")
def test_killed_between_any_two_parts_it_goes_on_behind_the_last(
    district: District, told: BroadcastId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction of a part ends or is as if it had not begun."""
    wanted = exports.of_recipients(told, EVERYWHERE)
    one = exports.begin(district.database, ALICE, wanted)
    keep, kept = stored.keep_part, []

    def killed(*args: object, **options: object) -> bool:
        keep(*args, **options)  # type: ignore[arg-type]
        kept.append(1)
        if len(kept) % 2:
            raise Unavailable("The database is away.", "Wait.")
        return True

    monkeypatch.setattr(stored, "keep_part", killed)
    while True:
        try:
            if not turn(district):
                break
        except Unavailable:
            assert now(district, one).state is ExportState.MAKING
    monkeypatch.setattr("engine.services.exports.SMALL", 100)
    assert content(district, one) == exported(district.database, wanted)
    assert len(kept) > now(district, one).parts


@pytest.mark.usefixtures("small")
def test_two_who_make_the_same_part_keep_it_once(district: District, told: BroadcastId) -> None:
    one = exports.begin(district.database, ALICE, exports.of_recipients(told, EVERYWHERE))
    for expected in (True, False):
        with district.database.write() as connection:
            done = stored.keep_part(connection, one, "x\n", "y", 2, NOW, is_last=False)
        assert done is expected
    assert parts(district) == 1


SLOWLY = """
import sys, time
from engine.database import Database
from engine.runtime.clock import utc_now
from engine.services import exports
exports._AT_ONCE = 10
while exports.go_on(Database(sys.argv[1], by_key=True), utc_now, pause=lambda _: time.sleep(0.01)):
    pass
"""


def test_a_process_that_is_killed_while_it_makes_one_loses_nothing(district: District) -> None:
    fill(district)
    one = exports.begin(district.database, ALICE, exports.of_audit())
    for least in (20, 200):
        maker = subprocess.Popen([sys.executable, "-c", SLOWLY, district.url])
        while now(district, one).done < least and maker.poll() is None:
            time.sleep(0.01)
        os.kill(maker.pid, signal.SIGKILL)
        assert maker.wait() == -signal.SIGKILL
        assert now(district, one).state is ExportState.MAKING
    make(district)
    ids = [line.partition(",")[0] for line in content(district, one).splitlines()[1:]]
    assert len(ids) == len(set(ids)) == MANY
    assert ids == sorted(ids, key=int)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Whatever is made meets a fault of ours; called, it meets none any more."""

    def portion(*_: object) -> None:
        raise KeyError("Ada Reyes")

    with monkeypatch.context() as patch:
        patch.setattr("engine.services.broadcasts.following.portion", portion)
        yield patch.undo


def test_what_fails_is_kept_until_somebody_looks_and_can_be_tried_again(
    district: District, told: BroadcastId, broken: Callable[[], None]
) -> None:
    database = district.database
    one = exports.begin(database, ALICE, exports.of_recipients(told, EVERYWHERE))
    make(district)
    failed = now(district, one)
    assert failed.state is ExportState.FAILED
    assert failed.problem == exports.UNEXPECTED.problem
    assert [each.standing for each in needing(district)] == [Standing.FAILED]

    with database.write() as connection:
        stored.forget(connection, NOW + timedelta(days=400))
    assert [each.standing for each in needing(district)] == [Standing.FAILED]
    exports.look_at(database, BOB, one.id)
    assert needing(district) == []

    broken()
    exports.try_again(database, ALICE, one.id)
    make(district)
    assert len(content(district, one).splitlines()) == 8
    assert acts(district)[1:4] == ["export.looked-at", "export.tried-again", "export.downloaded"]


def needing(district: District) -> list[tasks.Task | tasks.Export]:
    return list(tasks.overview(district.database, lambda _: True, lambda _: True).needing)


@pytest.mark.usefixtures("small")
def test_one_that_failed_in_the_middle_goes_on_there(
    district: District, told: BroadcastId, broken: Callable[[], None]
) -> None:
    one = exports.begin(district.database, ALICE, exports.of_recipients(told, EVERYWHERE))
    with district.database.write() as connection:
        stored.keep_part(connection, one, "the first\n", "1", 2, NOW, is_last=False)
    make(district)
    assert now(district, one).state is ExportState.FAILED
    broken()
    exports.try_again(district.database, ALICE, one.id)
    make(district)
    assert content(district, one).startswith("the first\n")


@pytest.mark.usefixtures("small")
def test_cancelled_it_is_erased_and_nothing_is_downloaded(
    district: District, told: BroadcastId
) -> None:
    one = exports.begin(district.database, ALICE, exports.of_recipients(told, EVERYWHERE))
    make(district)
    assert parts(district) == 4
    for _ in range(2):
        exports.cancel(district.database, ALICE, one.id)
    assert parts(district) == 0
    with pytest.raises(NotNow):
        content(district, one)
    with pytest.raises(NotNow):
        exports.try_again(district.database, ALICE, one.id)
    assert acts(district).count("export.cancelled") == 1


def test_one_that_is_cancelled_while_a_part_is_made_stays_so(
    district: District, told: BroadcastId
) -> None:
    one = exports.begin(district.database, ALICE, exports.of_recipients(told, EVERYWHERE))
    exports.cancel(district.database, ALICE, one.id)
    with district.database.write() as connection:
        assert not stored.keep_part(connection, one, "x", "y", 1, NOW, is_last=True)
    assert parts(district) == 0


@pytest.mark.usefixtures("small")
def test_it_is_erased_when_it_is_old(district: District, told: BroadcastId) -> None:
    one = exports.begin(district.database, ALICE, exports.of_recipients(told, EVERYWHERE))
    make(district)
    for later, left in ((KEEP - timedelta(minutes=1), 4), (KEEP + timedelta(minutes=1), 0)):
        with district.database.write() as connection:
            stored.forget(connection, NOW + later - KEEP)
        assert parts(district) == left
    with pytest.raises(NotThere):
        now(district, one)


@pytest.mark.usefixtures("small", "quick_passwords")
def test_it_is_erased_when_its_owner_is_disabled(district: District, told: BroadcastId) -> None:
    database = district.database
    password = "a sentence that staff remember"
    accounts.add(database, BOB, "boss", "Boss", password, admin=True)
    alice = accounts.add(database, BOB, "alice", "Alice", password).id
    one = exports.begin(
        database, ALICE._replace(staff=alice), exports.of_recipients(told, EVERYWHERE)
    )
    make(district)
    accounts.disable(database, BOB, alice)
    assert parts(district) == 0
    with pytest.raises(NotThere):
        now(district, one)


def test_a_download_of_what_is_erased_meanwhile_does_not_end_well(district: District) -> None:
    fill(district)
    one = exports.begin(district.database, ALICE, exports.of_audit())
    make(district)
    download = exports.downloaded(district.database, ALICE, one.id)
    next(download)
    exports.cancel(district.database, ALICE, one.id)
    with pytest.raises(NotThere):
        list(download)


def test_who_left_the_broadcast_behind_is_told(district: District) -> None:
    """A message that is forgotten while it is exported: the task says so, and nothing hangs."""
    gone = BroadcastId(str(stored.new_id(NOW)))
    with district.database.write() as connection:
        connection.execute(
            broadcast_recipients.insert().values(
                broadcast_id=gone, person_id="1", audience=Audience.GUARDIAN, reason=Reason.TOLD,
                students=[ADA],
            )
        )  # fmt: skip
    one = exports.begin(
        district.database, ALICE._replace(staff=StaffId(7)),
        exports.of_recipients(gone, EVERYWHERE),
    )  # fmt: skip
    make(district)
    found = now(district, one)
    assert (found.state, found.problem) == (ExportState.FAILED, "There is no such message.")
