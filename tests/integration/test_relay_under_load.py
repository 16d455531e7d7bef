"""Relay while a school is busy: nothing is missed, nothing is invented, no record is reordered.

Many programs write at once, in transactions that are open for up to some seconds; some are rolled
back, wholly or to a savepoint. Beside its own record each changes some of a few records that all
of them share. The value of a record counts its committed writes, because whoever changes it holds
its lock, so the order of the values is the order of the commits.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from engine.errors import Unavailable
from engine.ports import Publication, Queue
from engine.stages.relay import relay
from engine.wire.messages import Changes, decode
from rules.change import Change
from tests.engine.sources.sis import Sis, a_watch, connect

SHARED: Final = 6  # records that everybody changes
ROLLED_BACK: Final = 0.2
SEED: Final = 20261123

Mark = tuple[str, int, int]  # a record, the value that it had, and the one that it was given


@dataclass
class Load:
    """How many programs write, how often, and how long their transactions last at most."""

    programs: int
    transactions: int
    longest: float


@dataclass
class School:
    """What was committed and what was rolled back, as the programs that wrote it know."""

    sis: Sis
    load: Load
    committed: list[Mark] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def a_program(self, number: int) -> None:
        """Write, transaction after transaction."""
        chance = random.Random(SEED + number)
        connection = connect(self.sis.url)
        try:
            for turn in range(self.load.transactions):
                self._a_transaction(connection, chance, number, turn)
        finally:
            connection.close()

    def _a_transaction(
        self, connection: Any, chance: random.Random, number: int, turn: int
    ) -> None:
        shared = sorted(chance.sample(range(SHARED), chance.randint(1, 3)))
        name = f"{number}/{turn}"
        lasts = chance.uniform(0, self.load.longest)
        connection.execute("BEGIN IMMEDIATE" if self.sis.is_sqlite else "BEGIN")
        marks = [self._save_anew(connection, SHARED + number, name)]
        time.sleep(lasts)  # its first row has its place, and is not to be seen
        for record in shared:
            marks += [self._change(connection, record, name) for _ in range(chance.randint(1, 2))]
            if chance.random() < ROLLED_BACK:
                connection.execute("SAVEPOINT mistake")
                self._change(connection, record, f"{name} by mistake")
                connection.execute("ROLLBACK TO SAVEPOINT mistake")
        time.sleep(min(lasts, 0.02))
        if chance.random() < ROLLED_BACK:
            connection.execute("ROLLBACK")
            with self._lock:
                self.rolled_back.append(name)
        else:
            connection.execute("COMMIT")
            with self._lock:
                self.committed += marks if self.sis.is_sqlite else _net(marks)

    def _change(self, connection: Any, record: int, name: str) -> Mark:
        [(value,)] = connection.execute(
            f"UPDATE score SET points = points + 1, writer = '{name}'"
            f" WHERE id = {record} RETURNING points"
        ).fetchall()
        return str(record), value - 1, value

    def _save_anew(self, connection: Any, record: int, name: str) -> Mark:
        """Change a record as programs do that delete what they save."""
        [(value,)] = connection.execute(
            f"DELETE FROM score WHERE id = {record} RETURNING points"
        ).fetchall()
        connection.execute(f"INSERT INTO score VALUES ({record}, {value + 1}, '{name}')")
        return str(record), value, value + 1


def _net(marks: Sequence[Mark]) -> list[Mark]:
    """One for each record: what it was before all of *marks*, and what it is after them."""
    records = dict.fromkeys(record for record, _, _ in marks)
    return [
        (record, min(mark[1] for mark in marks if mark[0] == record),
         max(mark[2] for mark in marks if mark[0] == record))
        for record in records
    ]  # fmt: skip


@dataclass
class UnreliableBroker:
    """Keeps what it confirms; nacks some messages, and is away now and then, in mid-batch."""

    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    kept: list[Change] = field(default_factory=list)

    def partitions(self, queue: Queue) -> int:
        del queue
        return 4

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        assert queue is Queue.CHANGES
        answers = []
        for message in messages:
            if self.chance.random() < 0.03:
                raise Unavailable("The broker is away.", "Wait.")
            answers.append(self.chance.random() > 0.1)
            if answers[-1]:
                self.kept += decode(message.body, Changes).items
        return answers

    def close(self) -> None:
        """There is nothing to close."""


@contextmanager
def relaying(sis: Sis, broker: UnreliableBroker, batch: int) -> Iterator[None]:
    """Relay during the block, with a relay that is started anew now and then, and to the end."""
    stop, faults = threading.Event(), []

    def run() -> None:
        try:
            while not stop.is_set():
                _relay_for_a_while(stop)
            while _relay_for_a_while(stop):
                pass
        except Exception as fault:
            faults.append(fault)

    def _relay_for_a_while(stop: threading.Event) -> int:
        outbox, count = sis.outbox(), 0
        assert outbox.acquire()
        for _ in range(200):
            try:
                found = relay(outbox, broker, lambda _: False, limit=batch)
            except Unavailable:
                continue
            count += found
            if not found:
                stop.wait(0.005)
        outbox.release()
        return count

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not faults, faults


@dataclass
class Day:
    """What the school did, and what the broker has."""

    school: School
    changes: list[Change]

    @property
    def relayed(self) -> list[Mark]:
        """The first publication of each change, in order."""
        first = {change.id: change for change in reversed(self.changes)}
        return [
            (change.key, change.before["points"], change.after["points"])
            for change in self.changes
            if first[change.id] is change and change.before and change.after
        ]


def a_day(url: str, load: Load, batch: int) -> Day:
    """Let all programs write at once, and the relay relay."""
    sis = Sis(url)
    sis.write("CREATE TABLE score (id integer PRIMARY KEY, points integer, writer text)")
    records = ", ".join(f"({number}, 0)" for number in range(SHARED + load.programs))
    sis.write(f"INSERT INTO score (id, points) VALUES {records}")
    sis.watch(a_watch(columns=("points", "writer")))
    school, broker = School(sis, load), UnreliableBroker()
    programs = [
        threading.Thread(target=school.a_program, args=(number,)) for number in range(load.programs)
    ]
    with relaying(sis, broker, batch):
        for program in programs:
            program.start()
        for program in programs:
            program.join()
    sis.close()
    return Day(school, broker.kept)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A busy day, lived through once on each kind of database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('load') / 'sis.db'}"
        yield a_day(url, Load(programs=8, transactions=15, longest=0.02), batch=20)
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.create_database("load")
        yield a_day(url, Load(programs=64, transactions=4, longest=5), batch=50)
        server.drop_database("load")


def test_the_day_was_busy(day: Day) -> None:
    programs = day.school.load.programs * day.school.load.transactions
    assert len(day.school.committed) > programs
    assert len(day.school.rolled_back) > programs / 10


def test_every_committed_change_is_relayed(day: Day) -> None:
    assert Counter(set(day.relayed)) == Counter(day.school.committed)


def test_no_change_that_was_rolled_back_is_relayed(day: Day) -> None:
    writers = {change.after["writer"] for change in day.changes if change.after}
    assert not writers & set(day.school.rolled_back)


def test_each_change_has_an_id_of_its_own(day: Day) -> None:
    assert len({change.id for change in day.changes}) == len(day.school.committed)


def test_every_change_of_a_record_begins_where_the_one_before_it_ended(day: Day) -> None:
    ends: Counter[str] = Counter()
    for record, before, after in day.relayed:
        assert before == ends[record]
        ends[record] = after
