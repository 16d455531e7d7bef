"""Audiences kept ready: never other than what the tables say."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import product
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from engine.database import Database
from engine.dialects import dialect_of
from engine.ports import Audiences
from engine.store import audiences, candidates
from engine.store.tables import audiences as kept
from engine.store.tables import outdated_audiences as outdated
from rules.change import Kind, StudentId
from tests.builders import NOW, a_change
from tests.district import (
    ADA,
    BEN,
    CHEN,
    FATHER,
    MOTHER,
    QUIZ_SCORE,
    TOKENS,
    District,
)

PEOPLE: Final = ("31", "32", "34", "35", "37", "90")
STUDENTS: Final = (ADA, BEN, CHEN, "91")
IDENTITIES: Final = (*PEOPLE, *STUDENTS, "=1", "=2")
EVERYBODY: Final = frozenset(
    (StudentId(student), kind) for student, kind in product(STUDENTS, Kind)
)


def ready(district: District) -> Audiences:
    found: Audiences = district.read(audiences.fetch, EVERYBODY, NOW)
    return found


def asked(district: District) -> Audiences:
    found: Audiences = district.read(candidates.fetch, EVERYBODY, NOW)
    return found


def as_sets(found: Audiences) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    """People are in no order."""
    return {key: set(people) for key, people in found.candidates.items()}, found.devices


class _Writer:
    """Somebody who writes to any of the seven tables, at random but the same for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def statement(self) -> tuple[str, dict[str, Any]]:
        """One statement, and its values."""
        values = {name: self._one(some) for name, some in _VALUES.items()}
        return self._one(_STATEMENTS), values

    def keeps(self) -> bool:
        """Whether somebody keeps what is listed now."""
        return self._random.random() < 0.5

    def _one(self, some: Sequence[Any]) -> Any:
        return self._random.choice(some)


_VALUES: Final[Mapping[str, Sequence[Any]]] = {
    "person": PEOPLE,
    "student": STUDENTS,
    "who": IDENTITIES,
    "about": IDENTITIES,
    "device": range(1, 9),
    "yes": (True, False),
    "kind": tuple(Kind),
    "moment": (None, "2026-11-01 00:00:00.000000", "2027-11-01 00:00:00.000000"),
    "school": ("1", "2"),
    "word": ("", "grade", "grade attendance"),
    "language": ("en", "es"),
    "limits": ("", "60 70.5"),
}
_STATEMENTS: Final = (
    "INSERT INTO schoolbell_students VALUES (:student, :school, :person, :yes, 'A', 'B', NULL,"
    " :about)"
    " ON CONFLICT DO NOTHING",
    "UPDATE schoolbell_students SET enrolled = :yes WHERE id = :student",
    "UPDATE schoolbell_students SET person_id = :person WHERE id = :student",
    "UPDATE schoolbell_students SET identity = :about WHERE id = :student",
    "DELETE FROM schoolbell_students WHERE id = :student AND school_id = :school",
    "INSERT INTO schoolbell_people VALUES (:person, 'A', 'B', :language, :who)"
    " ON CONFLICT DO NOTHING",
    "UPDATE schoolbell_people SET language = :language WHERE id = :person",
    "UPDATE schoolbell_people SET identity = :who WHERE id = :person",
    "DELETE FROM schoolbell_people WHERE id = :person",
    "INSERT INTO schoolbell_rights VALUES"
    " (:student, :person, 'aunt', :yes, '2024-08-01', NULL, FALSE, :word) ON CONFLICT DO NOTHING",
    "UPDATE schoolbell_rights SET portal = :yes, withheld = :word WHERE student_id = :student",
    "UPDATE schoolbell_rights SET restricted = :yes WHERE person_id = :person",
    "DELETE FROM schoolbell_rights WHERE student_id = :student AND person_id = :person",
    "INSERT INTO schoolbell_accounts VALUES (:who, '2026-11-01 00:00:00.000000', NULL)"
    " ON CONFLICT DO NOTHING",
    "UPDATE schoolbell_accounts SET disabled_at = {moment} WHERE person_id = :who",
    "DELETE FROM schoolbell_accounts WHERE person_id = :who",
    "INSERT INTO schoolbell_sessions VALUES"
    " (:who, :device, :yes, '2026-11-01 00:00:00.000000', NULL, {moment}, NULL)"
    " ON CONFLICT DO NOTHING",
    "UPDATE schoolbell_sessions SET ended_at = {moment} WHERE person_id = :who",
    "UPDATE schoolbell_sessions SET expires_at = {moment} WHERE device_id = :device",
    "DELETE FROM schoolbell_sessions WHERE device_id = :device",
    "UPDATE schoolbell_devices SET retired_at = {moment} WHERE id = :device",
    "UPDATE schoolbell_devices SET privacy = 'named' WHERE id = :device",
    "DELETE FROM schoolbell_devices WHERE id = :device AND id > 6",
    "INSERT INTO schoolbell_subscriptions VALUES (:about, :who, :kind, :yes, :limits)"
    " ON CONFLICT DO NOTHING",
    "UPDATE schoolbell_subscriptions SET enabled = :yes, thresholds = :limits"
    " WHERE kind = :kind AND student_id = :about",
    "DELETE FROM schoolbell_subscriptions WHERE kind = :kind AND person_id = :who",
)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_written_it_is_what_the_tables_say(district: District, seed: int) -> None:
    writer = _Writer(seed)
    audiences.keep(district.database)

    for _ in range(60):
        statement, values = writer.statement()
        moment = "CAST(:moment AS timestamptz)" if "postgresql" in district.url else ":moment"
        used = statement.format(moment=moment)
        district.sis(used, **{name: one for name, one in values.items() if f":{name}" in used})
        assert as_sets(ready(district)) == as_sets(asked(district)), (used, values)
        if writer.keeps():
            audiences.keep(district.database)
            assert as_sets(ready(district)) == as_sets(asked(district)), (used, values)


# Each changes what stands about Ada, after the ones before it. 36 is her grandmother.
_THAT_COUNT: Final = (
    "INSERT INTO schoolbell_students VALUES ('41', '2', '31', FALSE, 'Ada', 'Reyes', NULL, '41')",
    "UPDATE schoolbell_students SET enrolled = FALSE WHERE id = '41' AND school_id = '1'",
    "DELETE FROM schoolbell_students WHERE id = '41' AND school_id = '2'",
    "UPDATE schoolbell_rights SET portal = TRUE WHERE person_id = '36'",
    "DELETE FROM schoolbell_rights WHERE person_id = '36'",
    "INSERT INTO schoolbell_rights VALUES ('41', '36', 'grandmother', TRUE, NULL, NULL, FALSE, '')",
    "UPDATE schoolbell_people SET language = 'fr' WHERE id = '36'",
    "DELETE FROM schoolbell_people WHERE id = '36'",
    "INSERT INTO schoolbell_people VALUES ('36', 'Rosa', 'Ortiz', 'es', '36')",
    "INSERT INTO schoolbell_accounts VALUES ('36', '2026-11-01 00:00:00.000000', NULL)",
    "INSERT INTO schoolbell_sessions VALUES"
    " ('36', 1, TRUE, '2026-11-01 00:00:00.000000', NULL, NULL, NULL)",
    "UPDATE schoolbell_sessions SET stay_logged_in = FALSE WHERE person_id = '36'",
    "UPDATE schoolbell_accounts SET disabled_at = '2026-11-01 00:00:00.000000'"
    " WHERE person_id = '36'",
    "UPDATE schoolbell_accounts SET disabled_at = NULL WHERE person_id = '36'",
    "DELETE FROM schoolbell_accounts WHERE person_id = '36'",
    "INSERT INTO schoolbell_accounts VALUES ('36', '2026-11-01 00:00:00.000000', NULL)",
    "UPDATE schoolbell_devices SET retired_at = '2026-11-01 00:00:00.000000' WHERE id = 1",
    "DELETE FROM schoolbell_sessions WHERE person_id = '36'",
    "INSERT INTO schoolbell_subscriptions VALUES ('41', '36', 'grade', TRUE, '')",
    "UPDATE schoolbell_subscriptions SET thresholds = '60' WHERE person_id = '36'",
    "DELETE FROM schoolbell_subscriptions WHERE person_id = '36'",
    "DELETE FROM schoolbell_devices WHERE id = 1",
    "INSERT INTO schoolbell_devices"
    " (id, kind, token_hash, token_sealed, registered_at, retired_reason)"
    " VALUES (1, 'apns', {bytes}, {bytes}, '2026-11-01 00:00:00.000000', '')",
)


def test_every_write_that_counts_is_known_from_its_commit_on(district: District) -> None:
    some_bytes = "'\\x00'" if "postgresql" in district.url else "X'00'"
    for statement in _THAT_COUNT:
        audiences.keep(district.database)
        before = as_sets(ready(district))

        district.sis(statement.format(bytes=some_bytes))

        assert as_sets(asked(district)) != before, statement
        assert as_sets(ready(district)) == as_sets(asked(district)), statement


def test_who_is_kept_is_read_by_one_query(district: District) -> None:
    audiences.keep(district.database)
    statements: list[str] = []
    event.listen(
        district.database.engine,
        "before_cursor_execute",
        lambda *words: statements.append(words[2]),
    )

    found = ready(district)

    asked_of = [one for one in statements if one.startswith("SELECT")]
    assert len(asked_of) == 2  # one more for a student whom nobody knows
    assert found.candidates[StudentId(ADA), Kind.GRADE]


def test_a_right_that_is_withdrawn_counts_from_its_commit_on(district: District) -> None:
    audiences.keep(district.database)

    district.sis("DELETE FROM schoolbell_rights WHERE person_id = :person", person=MOTHER)

    assert MOTHER not in people_told(district)


def people_told(district: District) -> set[str]:
    pushes = district.evaluate(a_change("score", QUIZ_SCORE, {"points": 17.0}, {"points": 11.0}))
    of_device = {device: person for person, device in district.devices().items()}
    return {of_device[push.device_id] for push in pushes}


def test_nothing_is_listed_where_nothing_changes_that_counts(district: District) -> None:
    audiences.keep(district.database)

    district.sis("UPDATE schoolbell_rights SET relation = 'godmother'")
    district.sis("UPDATE schoolbell_people SET first_name = 'Zoe', language = language")

    assert district.count(outdated) == 0


def test_who_leaves_is_not_kept(district: District) -> None:
    audiences.keep(district.database)
    district.sis("DELETE FROM schoolbell_students WHERE id = :student", student=ADA)

    audiences.keep(district.database)

    assert {student for student, _ in district.rows(kept.select())} == {BEN, CHEN}


def test_a_session_runs_out_by_itself(district: District) -> None:
    district.sign_in(FATHER, TOKENS[FATHER], expires_at=NOW + timedelta(seconds=1))
    audiences.keep(district.database)
    key = StudentId(ADA), Kind.GRADE

    before, after = (
        next(
            one.sign_ins[0].ended
            for one in district.read(audiences.fetch, {key}, moment).candidates[key]
            if one.person == FATHER
        )
        for moment in (NOW, NOW + timedelta(seconds=1))
    )

    assert (before, after) == (False, True)


def test_what_nobody_can_read_is_not_kept_and_keeps_nobody_else_from_it(
    district: District,
) -> None:
    district.sis("UPDATE schoolbell_rights SET withheld = 'nonsense' WHERE student_id = '43'")

    assert audiences.keep(district.database) == len(STUDENTS) - 1

    assert {student for student, *_ in district.rows(kept.select())} == {ADA, BEN}
    assert district.count(outdated) == 0


def test_a_threshold_that_is_no_number_is_kept_as_none(district: District) -> None:
    district.sis("UPDATE schoolbell_subscriptions SET thresholds = '60,5'")
    audiences.keep(district.database)

    (limit,) = one_of(ready(district), MOTHER).subscription.thresholds

    assert limit.is_nan()


def one_of(found: Audiences, person: str) -> Any:
    return next(one for one in found.candidates[StudentId(ADA), Kind.GRADE] if one.person == person)


class TestWhileSomebodyWrites:
    """On PostgreSQL, where several may write at once."""

    @pytest.fixture
    def other(self, postgres_district: District) -> Iterator[Connection]:
        """Another program, in a transaction."""
        audiences.keep(postgres_district.database)
        database = Database(postgres_district.url, by_key=True)
        with database.engine.connect() as connection:
            yield connection.execution_options(isolation_level="READ COMMITTED")
        database.close()

    def test_nothing_is_kept(self, postgres_district: District, other: Connection) -> None:
        postgres_district.sis("DELETE FROM schoolbell_rights WHERE person_id = '35'")
        other.execute(text("DELETE FROM schoolbell_rights WHERE person_id = '34'"))

        assert audiences.keep(postgres_district.database) == 0

        other.commit()
        assert as_sets(ready(postgres_district)) == as_sets(asked(postgres_district))
        assert audiences.keep(postgres_district.database) == len(STUDENTS) - 1

    def test_what_is_not_committed_does_not_count(
        self, postgres_district: District, other: Connection
    ) -> None:
        before = as_sets(ready(postgres_district))

        other.execute(text("DELETE FROM schoolbell_rights"))

        assert as_sets(ready(postgres_district)) == before
        other.rollback()

    def test_who_writes_waits_until_what_is_read_is_kept(
        self, postgres_district: District, other: Connection
    ) -> None:
        with other.begin():
            other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with postgres_district.database.write() as keeping:
                dialect_of(keeping).try_alone(keeping, outdated)
                with pytest.raises(OperationalError, match="lock timeout"):
                    other.execute(text("DELETE FROM schoolbell_rights WHERE person_id = '34'"))
