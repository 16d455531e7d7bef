"""The SIS is asked while no transaction of ours is open, and until what it said is applied."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Final

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, text

from engine.database import Database
from engine.runtime.directory import SisDirectory
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.sources.source import SqlSource
from engine.store import app
from engine.store.directory import names
from engine.store.tables import people, rights, sessions, students
from engine.wire.messages import Token
from rules.audience import DeviceId
from rules.change import Change, PersonId, StudentId
from rules.identity import push_id
from tests.builders import NOW, a_change, a_change_id, an_outcome
from tests.district import ADA, BEN, KEYRING, MOTHER, TOKENS, District, scored

PATIENCE: Final = 60  # seconds: only a test that fails waits so long
AN_OUTCOME: Final = an_outcome(push_id(a_change_id(), DeviceId("1")))
CHANGE: Final = "UPDATE guardian SET"
RESTRICT: Final = f"{CHANGE} restricted = TRUE WHERE guardian_id = 1"
WITHDRAW: Final = f"{CHANGE} portal = FALSE WHERE guardian_id = 1"


def withdrawn() -> Change:
    """What the triggers saw of WITHDRAW."""
    row = {"student_id": 41, "person_id": 34, "portal": True}
    return a_change("guardian", "1", row, {**row, "portal": False})


class HeldSis(Database):
    """A SIS that answers when it is told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked, self.answer = Event(), Event()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """See Database.read."""
        self._wait()
        with super().read() as connection:
            yield connection

    @contextmanager
    def limited(self) -> Iterator[Connection]:
        """See Database.limited."""
        self._wait()
        with super().limited() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """See Database.snapshot."""
        self._wait()
        with super().snapshot() as connection:
            yield connection

    def _wait(self) -> None:
        self.asked.set()
        assert self.answer.wait(PATIENCE)


class InterruptedSis(Database):
    """A SIS after whose next answers something else happens before we get them."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.then: list[Callable[[], object]] = []
        self.answers = 0

    @contextmanager
    def limited(self) -> Iterator[Connection]:
        """See Database.limited."""
        with super().limited() as connection:
            yield connection
        self.answers += 1
        if self.then:
            self.then.pop(0)()


@pytest.fixture
def held(district: District) -> Iterator[HeldSis]:
    """The SIS of the district, which does not answer yet."""
    sis = HeldSis(district.url)
    connect(district, sis)
    yield sis
    sis.close()


@pytest.fixture
def interrupted(district: District) -> Iterator[InterruptedSis]:
    """The SIS of the district, after whose answers something may happen."""
    sis = InterruptedSis(district.url)
    connect(district, sis)
    yield sis
    sis.close()


def connect(district: District, sis: Database) -> None:
    """Let the district ask its SIS by another connection than ours."""
    district.source = SqlSource(sis, load("reference"))
    district.directory = SisDirectory(district.database, district.source)


def the_other(district: District) -> SisDirectory:
    """The directory as another process has it."""
    return SisDirectory(district.database, SqlSource(district.database, load("reference")))


def the_right(district: District) -> tuple[bool, bool]:
    """Whether the mother has her right to Ada in our directory, and is restricted."""
    of_the_mother = (rights.c.student_id == ADA, rights.c.person_id == MOTHER)
    (found,) = district.rows(select(rights.c.portal, rights.c.restricted).where(*of_the_mother))
    return found[0], found[1]


ASKING: Final[dict[str, Callable[[District], object]]] = {
    "a change is followed": lambda district: district.directory.follow([withdrawn()]),
    "a student is looked up": lambda district: district.directory.known({StudentId(BEN)}).names,
    "everything is read": lambda district: district.directory.sync(),
    "changes are evaluated": lambda district: district.evaluate(withdrawn(), scored(9, 18)),
}


@pytest.mark.parametrize("asking", ASKING)
def test_others_write_while_the_sis_does_not_answer(
    district: District, held: HeldSis, asking: str
) -> None:
    district.app(lambda connection: connection.execute(delete(students)))

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ASKING[asking], district)
        assert held.asked.wait(PATIENCE)
        district.record([AN_OUTCOME])
        district.app(app.sign_in, KEYRING, PersonId(MOTHER), Token("apns", "another-phone"), NOW)
        assert not asked.done()
        held.answer.set()

    assert asked.exception() is None
    assert district.count(sessions) == len(TOKENS) + 1


def test_a_student_who_is_looked_up_is_known_with_all_rights(district: District) -> None:
    for table in (students, people, rights):
        district.app(lambda connection, table=table: connection.execute(delete(table)))

    assert district.directory.known({StudentId(ADA)}).names == {ADA: "Ada"}

    assert district.read(names, {StudentId(BEN)}) == {}
    assert district.count(rights) == 5
    assert district.count(people) == 6


def test_a_student_without_a_person_keeps_nobody_from_being_looked_up(district: District) -> None:
    query = "SELECT student_id AS id, NULLIF(person_id, 32) AS person_id, '1' AS school_id"
    definition = load("reference")
    students_query = Query(query=f"{query}, TRUE AS enrolled FROM student")
    changed = replace(definition.directory, students=students_query)
    district.speak(replace(definition, directory=changed))
    for table in (students, people, rights):
        district.app(lambda connection, table=table: connection.execute(delete(table)))

    assert district.directory.known({StudentId(ADA), StudentId(BEN)}).names == {ADA: "Ada", BEN: ""}


def test_a_student_who_is_known_is_not_asked_for(
    district: District, interrupted: InterruptedSis
) -> None:
    assert district.directory.known({StudentId(ADA)}).names == {ADA: "Ada"}

    assert interrupted.answers == 0


def test_a_change_is_read_again_until_what_was_read_is_applied(
    district: District, interrupted: InterruptedSis
) -> None:
    """Two court orders; the first is read, and before that is applied the second is followed."""

    def second_order() -> None:
        district.sis(WITHDRAW)
        the_other(district).follow([withdrawn()])

    interrupted.then.append(second_order)
    district.sis(RESTRICT)

    district.directory.follow([withdrawn()])

    assert interrupted.answers == 2
    assert the_right(district) == (False, True)


def test_a_change_that_many_follow_at_once_is_read_once_by_each(
    district: District, interrupted: InterruptedSis
) -> None:
    interrupted.then.append(lambda: the_other(district).follow([withdrawn()]))
    district.sis(WITHDRAW)

    district.directory.follow([withdrawn()])

    assert interrupted.answers == 1
    assert the_right(district) == (False, False)


def test_many_follow_many_changes_at_once(district: District) -> None:
    """With the processes of all partitions at work the last state of the SIS stands."""

    def orders(number: int) -> None:
        for turn in range(10):
            flag = "TRUE" if (turn + number) % 2 else "FALSE"
            district.sis(f"{CHANGE} portal = {flag}, restricted = NOT {flag} WHERE guardian_id = 1")
            district.directory.follow([withdrawn()])
            if turn % 3 == number:
                district.directory.sync()

    with ThreadPoolExecutor() as pool:
        list(pool.map(orders, range(4)))

    expected = "SELECT portal, restricted FROM guardian WHERE guardian_id = 1"
    assert [the_right(district)] == [(bool(p), bool(r)) for p, r in district.rows(text(expected))]
