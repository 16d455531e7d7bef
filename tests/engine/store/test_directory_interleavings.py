"""In whatever order the SIS is written and read, no row goes back to an older state.

A world of four rights. The SIS writes them; followers of its changes, by student, by person or
wholly, and full reads of the directory begin, read and apply in an order drawn from a seed. After
each applying every row of ours must be one that the SIS had, no earlier than what was there before
and than every change that was followed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, create_engine, insert, select
from sqlalchemy.pool import StaticPool

from engine.sources.directory import Listing, Reading, Scope
from engine.sources.directory_rows import Arranger, DirectoryRow, Key
from engine.sources.faults import Faults
from engine.store import directory
from engine.store.directory import versions
from engine.store.tables import directory_doubts, directory_readings, directory_version, rights
from tests.builders import NOW

INTERLEAVINGS: Final = 5_000
IN_ONE_TEST: Final = 500
STEPS: Final = 10

ARRANGER: Final = Arranger(ZoneInfo("UTC"))

STUDENTS, PEOPLE = ("s1", "s2"), ("p1", "p2")
KEYS: Final = tuple(product(STUDENTS, PEOPLE))
RELATIONS: Final = ("mother", "aunt", "neighbour")

State = DirectoryRow | None


@dataclass(slots=True)
class Sis:
    """The states of each row, the newest last."""

    history: dict[Key, list[State]] = field(default_factory=lambda: {key: [None] for key in KEYS})

    def write(self, key: Key, state: State) -> int:
        """Commit a row; return when."""
        self.history[key].append(state)
        return len(self.history[key]) - 1

    def rows(self, scope: Scope) -> list[DirectoryRow]:
        """What it lists now."""
        index = ("student_id", "person_id").index(scope.by) if scope.by else 0
        return [
            state
            for key, states in self.history.items()
            if (state := states[-1]) and (not scope.by or key[index] in scope.keys)
        ]


@dataclass(slots=True)
class Follower:
    """Somebody who must bring the directory in step with one change."""

    key: Key
    when: int
    scope: Scope
    version: int | None = None
    reading: Reading | None = None


class World:
    """The SIS, our directory and everybody who is at work, driven by *random*."""

    def __init__(self, connection: Connection, random: Random) -> None:
        self.connection = connection
        self.random = random
        self.sis = Sis()
        self.followers: list[Follower] = []
        self.comparing = False
        self.found: list[tuple[int, directory.Difference]] = []
        self.earliest = dict.fromkeys(KEYS, 0)

    def step(self) -> None:
        """Something happens."""
        acts: list[Callable[[], None]] = [self.write, self.write, self.compare, self.apply_all]
        acts += [self.advance] * (3 if self.followers else 0)
        self.random.choice(acts)()

    def write(self) -> None:
        """The SIS commits a row: new, changed, as it was once, or gone."""
        student, person = self.random.choice(KEYS)
        relation = self.random.choice((*RELATIONS, ""))
        row = (student, person, relation, True, None, None, False, "")
        when = self.sis.write((student, person), row if relation else None)
        scope = self.random.choice(
            (
                Scope("rights", "student_id", frozenset({student})),
                Scope("rights", "person_id", frozenset({person})),
                Scope("rights", "student_id", frozenset(STUDENTS)),
                Scope("rights"),
            )
        )
        self.followers.append(Follower((student, person), when, scope))

    def advance(self) -> None:
        """One follower does its next step, or dies and begins again."""
        one = self.random.choice(self.followers)
        if self.random.random() < 0.05:
            one.version = one.reading = None
        elif one.version is None:
            one.version = directory.version(self.connection)
        elif one.reading is None:
            one.reading = Reading(
                one.version, [Listing(one.scope, self.sis.rows(one.scope))], Faults()
            )
        else:
            self.apply(one, one.reading)

    def apply(self, one: Follower, reading: Reading) -> None:
        """A follower applies what it has read, and is done, or reads again."""
        again = directory.apply(self.connection, reading, NOW)
        self.check()
        one.version = one.reading = None
        if not again:
            self.followers.remove(one)
            self.earliest[one.key] = max(self.earliest[one.key], one.when)
            self.check()

    def compare(self) -> None:
        """A full read, student by student, while other things happen."""
        if self.comparing:
            return
        self.comparing = True
        base = directory.version(self.connection)
        found = directory.compare(self.connection, "rights", self.slices(), ARRANGER)
        self.found.append((base, found))
        self.comparing = False

    def slices(self) -> Iterator[list[DirectoryRow]]:
        """What the SIS lists of one student, and a while later of the other."""
        for student in STUDENTS:
            rows = self.sis.rows(Scope("rights", "student_id", frozenset({student})))
            for _ in range(self.random.randrange(3)):
                self.step()
            yield rows

    def apply_all(self) -> None:
        """A full read is written."""
        if self.found:
            base, difference = self.found.pop(self.random.randrange(len(self.found)))
            directory.apply_all(self.connection, base, [difference], Faults(), NOW)
            self.check()

    def settle(self) -> None:
        """Everybody finishes."""
        while self.followers or self.found:
            self.random.choice(
                (self.advance if self.followers else self.apply_all, self.apply_all)
            )()

    def ours(self) -> dict[Key, State]:
        """The rows of our directory."""
        found = {tuple(row[:2]): tuple(row) for row in self.connection.execute(select(rights))}
        return {key: found.get(key) for key in KEYS}

    def check(self) -> None:
        """Each row is the SIS's of some moment that is no earlier than the last one's."""
        for key, state in self.ours().items():
            since = self.earliest[key]
            assert state in self.sis.history[key][since:], f"{key} went back to an older state"
            self.earliest[key] = self.sis.history[key].index(state, since)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    """A directory in memory."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        for table in (rights, directory_doubts, directory_readings, directory_version):
            table.create(connection)
        connection.execute(insert(directory_version).values(id=1, version=0))
        connection.commit()
        yield connection
    engine.dispose()


@pytest.mark.parametrize("first", range(0, INTERLEAVINGS, IN_ONE_TEST))
def test_no_row_goes_back_and_every_change_that_was_followed_stands(
    connection: Connection, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        monkeypatch.setattr(versions, "_REMEMBERED", seed % 2 or 10_000)
        world = World(connection, Random(seed))
        for _ in range(STEPS):
            world.step()
        world.settle()
        listed = {key: states[-1] for key, states in world.sis.history.items()}
        assert world.ours() == listed, f"seed {seed}"
        connection.rollback()
