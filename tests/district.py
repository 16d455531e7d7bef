"""A small district, built by hand: the SIS and the engine in one database, and who is who.

Everything is switched on and everybody is signed in, so a test changes only what it is about.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select, text

from engine.config import DistrictSettings
from engine.database import Database
from engine.ports import LANES, Decided, Source
from engine.runtime.alarms import Alarms
from engine.runtime.directory import SisDirectory
from engine.secrets.keyring import Key, Keyring
from engine.sources.definition import Definition
from engine.sources.loading import load
from engine.sources.source import SqlSource
from engine.stages.batch import Planner
from engine.stages.composing import Composer
from engine.stages.evaluate import Evaluate
from engine.stages.record import Record
from engine.stages.release import Release
from engine.store import alarms, app, district, migrate
from engine.store import decisions as store_decisions
from engine.store.alarms import Alarm
from engine.store.ledger import SqlLedger
from engine.store.partitions import IS_PARTITION
from engine.store.tables import PREFIX, decisions, parked_changes
from engine.trial.reference.create import create
from engine.wire.messages import Push, Token
from rules.change import KINDS_OF_CHANGE, Change, Kind, PersonId, StudentId
from rules.lanes import Lane
from rules.plan import plan
from rules.privacy import Level
from rules.reasons import Reason
from rules.wording import Text, Wording
from tests.builders import NOW, a_change
from tests.fakes import FakePublisher, StoppedClock

# Students, who are also people.
ADA, BEN, CHEN = "41", "42", "43"
ADA_HERSELF, BEN_HIMSELF, CHEN_HERSELF = "31", "32", "33"
# Guardians. All of them are related to Ada, the mother to Ben too, and the father to Chen.
MOTHER, FATHER, GRANDMOTHER, UNCLE, STEPFATHER = "34", "35", "36", "37", "38"

HIGH_SCHOOL, MIDDLE_SCHOOL = "1", "2"

QUIZ_SCORE = "91"  # of Ada, 17 of 20 points, released
HIDDEN_SCORE = "92"  # of Ada, 60 of 100 points, in the unit test that nobody sees yet
BENS_HIDDEN_SCORE = "93"
LAST_YEARS_SCORE = "94"
CHENS_SCORE = "95"
ZERO_POINT_SCORE = "96"
UNIT_TEST = "82"
GRADE = "101"
ABSENCE = "111"
MEAL_ACCOUNT = "51"  # of Ada and Ben, with $6.25 on it
SESSION, PLACEMENT = "121", "131"

LOST_AFTER: Final = timedelta(minutes=15)

_SIS: Final = """
INSERT INTO school VALUES (1, 'Lincoln High School'), (2, 'Oak Hill Middle School');
INSERT INTO school_year VALUES
    (1, '2025-26', '2025-08-25', '2026-06-05', FALSE),
    (2, '2026-27', '2026-08-24', '2027-06-04', TRUE);
INSERT INTO calendar VALUES (11, 1, 1), (12, 1, 2), (13, 2, 2);
INSERT INTO term VALUES
    (21, 11, 'Q1', '2025-08-25', '2025-10-24'), (22, 12, 'Q2', '2026-10-26', '2027-01-15');
INSERT INTO person (person_id, first_name, last_name, language) VALUES
    (31, 'Ada', 'Reyes', 'en'), (32, 'Ben', 'Reyes', 'en'), (33, '子涵', '王', 'zh'),
    (34, 'Lucía', 'Reyes', 'es-MX'), (35, 'Mark', 'Reyes', 'en'), (36, 'Rosa', 'Ortiz', 'es'),
    (37, 'Karl', 'Reyes', 'en'), (38, 'Sven', 'Berg', 'en'), (39, 'Robin', 'Hale', 'en');
INSERT INTO staff VALUES (5, 39, 1, 'Teacher');
INSERT INTO meal_account VALUES (51, 6.25), (52, 10);
INSERT INTO student VALUES
    (41, 31, 12, 51, 9, 'enrolled'), (42, 32, 13, 51, 7, 'enrolled'),
    (43, 33, 12, 52, 9, 'withdrawn');
INSERT INTO guardian VALUES
    (1, 41, 34, 'mother', TRUE, '2024-08-01', NULL, FALSE),
    (2, 42, 34, 'mother', TRUE, '2024-08-01', NULL, FALSE),
    (3, 41, 35, 'father', TRUE, '2024-08-01', NULL, FALSE),
    (4, 41, 36, 'grandmother', FALSE, '2024-08-01', NULL, FALSE),
    (5, 41, 37, 'uncle', TRUE, '2024-08-01', NULL, TRUE),
    (6, 41, 38, 'stepfather', TRUE, '2024-08-01', '2026-11-22', FALSE),
    (7, 43, 35, 'host father', TRUE, '2024-08-01', NULL, FALSE);
INSERT INTO course VALUES (61, 12, 'BIO9', 'Biology 9'), (62, 11, 'ART9', 'Art 9');
INSERT INTO section VALUES (71, 61, 5, 1, 3, 'Room 12'), (72, 62, 5, 1, 1, 'Room 14');
INSERT INTO assignment VALUES
    (81, 71, 22, 'Quiz 1', 20, '2026-11-20', TRUE),
    (82, 71, 22, 'Unit test', 100, '2026-11-20', FALSE),
    (83, 72, 21, 'Mask', 10, '2025-09-12', TRUE),
    (84, 71, 22, 'Survey', 0, '2026-11-20', TRUE);
INSERT INTO score (score_id, assignment_id, student_id, points) VALUES
    (91, 81, 41, 17), (92, 82, 41, 60), (93, 82, 42, 55), (94, 83, 41, 9), (95, 81, 43, 12),
    (96, 84, 41, 3);
INSERT INTO posted_grade VALUES (101, 71, 22, 41, 91.5, 'A-', TRUE);
INSERT INTO attendance_code VALUES
    (1, 'P', 'Present', 'present', 'unknown'),
    (2, 'AU', 'Absent, unexcused', 'absent', 'unexcused');
INSERT INTO attendance VALUES (111, 41, 71, '2026-11-23', 3, 2);
INSERT INTO responsive_session VALUES
    (121, 12, 5, 'Robotics', 'Room 12', '2026-12-01', '09:40'),
    (122, 12, 5, 'Chess', 'Library', '2026-12-01', '09:40');
INSERT INTO placement VALUES (131, 41, 121, '2026-12-01')
"""

_CHOSEN: Final = ((MOTHER, ADA), (MOTHER, BEN), (FATHER, ADA), (FATHER, CHEN), (ADA_HERSELF, ADA))

TOKENS: Final = {
    MOTHER: Token("fcm_token", "token-of-the-mother"),
    FATHER: Token("apns", "token-of-the-father"),
    ADA_HERSELF: Token("fcm_fid", "token-of-ada"),
}

KEYS: Final = (Key("0badcafe", NOW, bytes(range(32))),)
KEYRING: Final = Keyring(lambda: KEYS)


def scored(
    before: float | None,
    after: float | None,
    key: str = QUIZ_SCORE,
    *,
    at: datetime = NOW,
    position: int = 0,
) -> Change:
    """A teacher enters or changes points; None is no score."""
    return a_change("score", key, {"points": before}, {"points": after}, at=at, position=position)


def marked(code: int = 2, before: int | None = None) -> Change:
    """A teacher takes attendance; code 2 is absent."""
    earlier = None if before is None else {"attendance_code_id": before}
    return a_change("attendance", ABSENCE, earlier, {"attendance_code_id": code})


def paid(before: float = 6.25, after: float = 3.75) -> Change:
    """Money moves on the siblings' account."""
    return a_change("meal-account", MEAL_ACCOUNT, {"balance": before}, {"balance": after})


class District:
    """The parts of the engine that need a database, over the small district."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = StoppedClock()
        self.database = Database(url, by_key=True)
        self.settings = DistrictSettings()
        self.composer = Composer(self.settings.id, Wording(), KEYRING)
        self.ledger = SqlLedger(self.database, self.settings.timezone)
        self.record = Record(self.ledger, self.clock)
        self.speak(load("reference"))

    def evaluate(
        self,
        *changes: Change,
        wording: Wording | None = None,
        source: Source | None = None,
        plan: Planner = plan,
    ) -> Sequence[Push]:
        """What evaluate makes of a batch."""
        composer = replace(self.composer, wording=wording) if wording else self.composer
        evaluate = Evaluate(
            source or self.source, self.directory, self.ledger, composer, self.clock, plan
        )
        return evaluate(changes)

    def due(self, lane: Lane = Lane.ORDINARY) -> Sequence[Push]:
        """What release publishes now of a lane."""
        publisher = FakePublisher()
        Release(self.ledger, self.composer, publisher, self.clock, lane)()
        return publisher.pushes(LANES[lane])

    def plan_lost(self) -> int:
        """How many pushes schedule finds to be lost, while no queue holds anything."""
        before, now = self.clock() - LOST_AFTER, self.clock()
        return sum(self.ledger.plan_lost(before, now, lane) for lane in Lane)

    def push_of(self, change: Change) -> Push:
        """Evaluate a change, and return the push to the mother's phone."""
        of_mother = self.devices()[MOTHER]
        return next(push for push in self.evaluate(change) if push.device_id == of_mother)

    def release(self, assignment: str = UNIT_TEST) -> Change:
        """A teacher lets families see an assignment."""
        self.sis(
            "UPDATE assignment SET released = TRUE WHERE assignment_id = :id", id=int(assignment)
        )
        return a_change("assignment-release", assignment, {"released": False}, {"released": True})

    def sign_in(self, person: str, token: Token | None = None, **choices: Any) -> str:
        """A person signs in, on a phone of their own unless *token* says which."""
        token = token or Token("fcm_token", f"token-of-{person}")
        who = PersonId(person)
        device: str = self.app(app.sign_in, KEYRING, who, token, self.clock.now, **choices)
        return device

    def speak(self, definition: Definition) -> None:
        """Connect the SIS by another definition."""
        report = Alarms(self.database, self.clock).of_conditions
        self.source = SqlSource(self.database, definition, report=report)
        self.directory = SisDirectory(self.database, self.source, self.clock)

    def sis(self, statement: str, **values: object) -> None:
        """A program of the school writes."""
        with self.database.write() as connection:
            connection.execute(text(statement), values)

    def app(self, act: Callable[..., Any], *args: object, **choices: object) -> Any:
        """Somebody does something in the app, or the district in its settings."""
        with self.database.write() as connection:
            return act(connection, *args, **choices)

    def read(self, ask: Callable[..., Any], *args: object) -> Any:
        """Ask the store something."""
        with self.database.read() as connection:
            return ask(connection, *args)

    def reasons(self, change: Change) -> Mapping[str, Reason]:
        """What was decided on *change*, by person."""
        return {person: reason for (_, person), reason in self.reasons_by_student(change).items()}

    def reasons_by_student(self, change: Change) -> Mapping[tuple[str, str], Reason]:
        """What was decided on *change*, by student and person."""
        return {
            (row.place.student, one.person): one.reason
            for row in self.decided(change)
            if row.place
            for one in row.people
        }

    def decided(self, *changes: Change) -> Sequence[Decided]:
        """The rows of *changes*, or of all."""
        ids = [one.id for one in changes] or [
            change for (change,) in self.rows(select(decisions.c.change_id))
        ]
        found: Sequence[Decided] = self.read(store_decisions.of_changes, ids)
        return found

    def bodies(self) -> set[str]:
        """The texts of everything that anybody was told, as their inboxes show them."""
        return {
            text.body
            for row in self.decided()
            for one in row.people
            if one.devices and row.facts
            for text in [Wording().render(row.facts, one.audience, one.language)]
            if isinstance(text, Text)
        }

    def parked(self) -> Sequence[str]:
        """The ids of parked changes."""
        return [found for (found,) in self.rows(select(parked_changes.c.id))]

    def alarms(self) -> Sequence[Alarm]:
        """The alarms that are not over, the newest first."""
        found: Sequence[Alarm] = self.read(alarms.current, self.clock(), 100)
        return found

    def devices(self) -> Mapping[str, str]:
        """The first device of each person."""
        return {
            person: str(device)
            for person, device in self.rows(
                text("SELECT person_id, min(device_id) FROM schoolbell_sessions GROUP BY person_id")
            )
        }

    def rows(self, query: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, as plain tuples."""
        with self.database.read() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        ((found,),) = self.rows(select(func.count()).select_from(table))
        return int(found)


def build_sis(url: str) -> None:
    """Make the SIS of the small district in an empty database, and nothing else."""
    database = Database(url)
    create(database.engine)
    with database.write() as connection:
        for statement in _SIS.split(";\n"):
            connection.exec_driver_sql(statement)
    database.close()


def build(url: str) -> None:
    """Make the small district in an empty database."""
    build_sis(url)
    database = Database(url)
    migrate.upgrade(database)
    SisDirectory(database, SqlSource(database, load("reference")), lambda: NOW).sync()
    with database.write() as connection:
        district.create(connection, enabled=True)
        district.set_privacy(connection, Level.FULL)
        for person, token in TOKENS.items():
            app.sign_in(connection, KEYRING, PersonId(person), token, NOW - timedelta(days=30))
        for person, student in _CHOSEN:
            for kind in KINDS_OF_CHANGE:
                app.subscribe(connection, PersonId(person), StudentId(student), kind)
    database.close()


def subscribe(
    district_: District, person: str, kind: Kind, below: str = "", *, on: bool = True
) -> None:
    """A person chooses what to hear about Ada: all, or what falls *below* a number, or several."""
    district_.app(
        app.subscribe, PersonId(person), StudentId(ADA), kind,
        enabled=on, thresholds=tuple(map(Decimal, below.split())),
    )  # fmt: skip


class SqliteDistricts:
    """Copies of one file."""

    def __init__(self, folder: Path) -> None:
        self._original = folder / "district.db"
        build(f"sqlite:///{self._original}")

    def copy_to(self, folder: Path) -> str:
        """A district of its own; its URL."""
        return f"sqlite:///{shutil.copy(self._original, folder / 'district.db')}"


class PostgresDistricts:
    """One database, brought back to its beginning: that is quicker than making a new one."""

    def __init__(self, url: str) -> None:
        build(url)
        self.url = url
        self._database = Database(url)
        with self._database.write() as connection:
            self._restore = self._keep_original(connection)

    def restore(self) -> str:
        """The district as it was built; its URL."""
        with self._database.write() as connection:
            connection.exec_driver_sql(self._restore)
        return self.url

    def close(self) -> None:
        self._database.close()

    def _keep_original(self, connection: Connection) -> str:
        """Copy every table, and return what brings all of them back."""
        tables = [
            name
            for (name,) in connection.exec_driver_sql(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                f" AND tablename <> '{PREFIX}version'"
            )
            if not IS_PARTITION.search(name)
        ]
        connection.exec_driver_sql("CREATE SCHEMA original")
        statements = ["SET LOCAL session_replication_role = replica"]  # foreign keys look away
        for name in tables:
            connection.exec_driver_sql(f"CREATE TABLE original.{name} AS TABLE public.{name}")
            statements.append(f"DELETE FROM public.{name}")
        statements += [
            f"INSERT INTO public.{name} OVERRIDING SYSTEM VALUE SELECT * FROM original.{name}"
            for name in tables
            if connection.exec_driver_sql(f"SELECT count(*) FROM original.{name}").scalar_one()
        ]
        return ";\n".join(statements)
