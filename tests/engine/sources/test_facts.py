"""Facts: what comes out for each student when somebody in the school writes."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.sources.definition import Definition
from engine.sources.loading import load
from engine.sources.source import SqlSource
from rules.change import Change, Kind, Subject, Value
from tests.engine.sources.sis import Sis, selects, sweep

TABLES = {
    "work": "CREATE TABLE work (work_id integer PRIMARY KEY, title text, out_of numeric,"
    " released integer)",
    "score": "CREATE TABLE score (score_id integer PRIMARY KEY, work_id integer,"
    " student_id integer, points text)",
    "grade": "CREATE TABLE grade (id integer PRIMARY KEY, student_id integer,"
    " percent numeric(5, 2), mark text, posted text)",
    "attendance": "CREATE TABLE attendance (id integer PRIMARY KEY, student_id integer,"
    " code integer)",
    "code": "CREATE TABLE code (id integer, word text)",
    "account": "CREATE TABLE account (id integer PRIMARY KEY, balance numeric(10, 2))",
    "eater": "CREATE TABLE eater (student_id integer, account_id integer)",
    "session": "CREATE TABLE session (id integer PRIMARY KEY, day text, starts_at text, room text)",
    "placement": "CREATE TABLE placement (session_id integer, student_id integer)",
    "badge": "CREATE TABLE badge (id text PRIMARY KEY, student_id integer, room text)",
}
MORNING = (
    "INSERT INTO work VALUES (5, 'Quiz 1', 20, 1)",
    "INSERT INTO score VALUES (1, 5, 41, '10')",
    "INSERT INTO grade VALUES (1, 41, 90, 'A', 'Y')",
    "INSERT INTO code VALUES (1, 'present'), (2, 'absent')",
    "INSERT INTO attendance VALUES (1, 41, 2)",
    "INSERT INTO account VALUES (7, 6.25)",
    "INSERT INTO eater VALUES (41, 7), (42, 7)",
    "INSERT INTO session VALUES (9, 'Monday', '09:40', 'Room 1')",
    "INSERT INTO placement VALUES (9, 41)",
)

DEFINITION = """
name = "school"

[[watch]]
name = "score"
kind = "assignment"
table = "score"
key = "score_id"
columns = ["points"]
value = "points"
facts = "work"
by = "score_id"

[[watch]]
name = "release"
kind = "assignment"
table = "work"
key = "work_id"
columns = ["released"]
becomes = "released"
facts = "work"
by = "work_id"

[facts.work]
query = '''
SELECT score_id, work.work_id, 'score ' || score_id AS record, student_id, 1 AS school_id,
    2 AS calendar_id, released, points AS value, out_of, title, 'Biology' AS course
FROM score JOIN work ON work.work_id = score.work_id
'''

[[watch]]
name = "grade"
kind = "grade"
table = "grade"
key = "id"
columns = ["percent", "mark", "posted"]
value = "percent"
text = "mark"
released_by = "posted"
facts = "grade"
by = "id"

[facts.grade]
query = '''
SELECT id, 'grade ' || id AS record, student_id, 1 AS school_id, 2 AS calendar_id,
    posted AS released, percent AS value
FROM grade
'''

[[watch]]
name = "attendance"
kind = "attendance"
table = "attendance"
key = "id"
columns = ["code"]
value = "code"
labels = "code"
facts = "attendance"
by = "id"

[labels.code]
query = "SELECT id AS value, word AS label FROM code"

[facts.attendance]
query = '''
SELECT id, 'attendance ' || id AS record, student_id, 1 AS school_id, 2 AS calendar_id,
    1 AS released, code AS value
FROM attendance
'''

[[watch]]
name = "account"
kind = "meal_balance"
table = "account"
key = "id"
columns = ["balance"]
value = "balance"
facts = "account"
by = "id"

[facts.account]
query = '''
SELECT id, 'account ' || id AS record, student_id, 1 AS school_id, 2 AS calendar_id,
    1 AS released, balance AS value
FROM account JOIN eater ON eater.account_id = account.id
'''

[[watch]]
name = "session"
kind = "responsive_schedule"
table = "session"
key = "id"
columns = ["day", "starts_at", "room"]
value = ["day", "starts_at", "room"]
facts = "session"
by = "id"

[facts.session]
query = '''
SELECT id, 'session ' || id AS record, student_id, 1 AS school_id, 2 AS calendar_id,
    1 AS released, day AS value, NULL AS title
FROM session JOIN placement ON placement.session_id = session.id
'''

[[watch]]
name = "badge"
kind = "responsive_schedule"
table = "badge"
key = "id"
columns = ["room"]
value = "room"
facts = "badge"
by = "id"

[facts.badge]
query = '''
SELECT id, 'badge ' || id AS record, student_id, 1 AS school_id, 2 AS calendar_id,
    1 AS released, room AS value
FROM badge
'''

[directory]
schools.query = "SELECT 1"
calendars.query = "SELECT 1"
people.query = "SELECT 1"
students.query = "SELECT 1"
rights.query = "SELECT 1"
"""


class School:
    """A school with one of everything, its definition, and what Schoolbell makes of a write."""

    def __init__(self, sis: Sis, definition: Definition) -> None:
        self.sis = sis
        self.source = SqlSource(sis.database, definition)
        sis.write(*TABLES.values())
        sis.capture(definition).install()

    def begin_the_day(self) -> None:
        """Be as in the morning, with everything relayed."""
        with self.sis.transaction():
            self.before(*(f"DELETE FROM {table}" for table in TABLES), *MORNING)

    def before(self, *statements: str) -> None:
        """Writes that were relayed already."""
        self.sis.write(
            *statements,
            "DELETE FROM schoolbell_outbox_district"
            if self.sis.is_sqlite
            else "DELETE FROM schoolbell_capture_district.outbox",
        )

    def after(self, *statements: str) -> list[Subject]:
        """What these writes mean, for whom."""
        self.sis.write(*statements)
        return self.meaning(self.sis.changes())

    def meaning(self, changes: list[Change]) -> list[Subject]:
        """What changes mean, for whom."""
        found = self.source.find(changes)
        return [one._replace(student_name=f"Student {one.student}") for one in found]

    def values(self, *statements: str) -> tuple[Value | None, Value | None]:
        """What the one student concerned saw before, and sees now."""
        [subject] = self.after(*statements)
        return subject.before, subject.after


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    """The definition of the school."""
    path: Path = tmp_path_factory.mktemp("definition") / "school.toml"
    path.write_text(DEFINITION, "utf-8")
    return load(str(path))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def one_school(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, definition: Definition
) -> Iterator[School]:
    """A school, once on each kind of database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('school') / 'sis.db'}"
    else:
        url = request.getfixturevalue("reused_postgres_url")
    sis = Sis(url)
    yield School(sis, definition)
    sis.close()
    if request.param == "postgresql":
        sweep(url)


@pytest.fixture
def school(one_school: School) -> School:
    """A school at the beginning of its day."""
    one_school.begin_the_day()
    return one_school


def a_value(text: str, number: str | None = None) -> Value:
    """What a family sees."""
    return Value(text, None if number is None else Decimal(number))


class TestAssignments:
    """A score is told as points of points possible, and compared as percent."""

    def test_everything_that_is_known_of_a_score_is_in_its_subject(self, school: School) -> None:
        [subject] = school.after("UPDATE score SET points = '17.50'")
        assert subject == Subject(
            change=school.sis.change().id, kind=Kind.ASSIGNMENT, record="score 1", student="41",
            student_name="Student 41", school="1", calendar="2", released=True,
            before=a_value("10/20", "50"), after=a_value("17.5/20", "87.5"),
            details={"title": "Quiz 1", "course": "Biology"},  # what texts may use, and no more
            position=school.sis.change().position,
        )  # fmt: skip

    @pytest.mark.parametrize("out_of", ["NULL", "0"])
    def test_without_points_possible_there_is_no_percent(self, school: School, out_of: str) -> None:
        _, after = school.values(
            f"UPDATE work SET out_of = {out_of}", "UPDATE score SET points = '17'"
        )
        assert after == a_value({"NULL": "17", "0": "17/0"}[out_of])

    def test_a_first_score_was_nothing_before(self, school: School) -> None:
        before, _ = school.values("INSERT INTO score VALUES (2, 5, 42, '8')")
        assert before is None

    def test_a_score_that_is_cleared_is_nothing_now(self, school: School) -> None:
        assert school.values("UPDATE score SET points = NULL") == (a_value("10/20", "50"), None)

    def test_a_score_that_was_empty_was_nothing_before(self, school: School) -> None:
        school.sis.write("INSERT INTO score VALUES (2, 5, 42, NULL)")
        [_, subject] = school.after("UPDATE score SET points = '8' WHERE score_id = 2")
        assert (subject.before, subject.after) == (None, a_value("8/20", "40"))

    @pytest.mark.parametrize("words", ["missing", "EX", "17,5"])
    def test_a_score_that_is_no_number_is_told_as_it_is(self, school: School, words: str) -> None:
        _, after = school.values(f"UPDATE score SET points = '{words}'")
        assert after == a_value(words)

    def test_more_than_all_points_are_more_than_all_percent(self, school: School) -> None:
        _, after = school.values("UPDATE score SET points = '25'")
        assert after == a_value("25/20", "125")

    @pytest.mark.parametrize(
        ("points", "told"), [("100", "100/20"), ("0", "0/20"), ("0.50", "0.5/20"), ("1E1", "10/20")]
    )
    def test_points_are_written_plainly(self, school: School, points: str, told: str) -> None:
        _, after = school.values(f"UPDATE score SET points = '{points}'")
        assert after is not None
        assert after.text == told

    def test_a_score_that_is_not_released_says_so(self, school: School) -> None:
        school.before("UPDATE work SET released = 0")
        [subject] = school.after("UPDATE score SET points = '8'")
        assert not subject.released


class TestReleases:
    """Where a column must become true, families saw nothing before."""

    def test_every_student_with_a_score_is_concerned(self, school: School) -> None:
        school.before("UPDATE work SET released = 0", *_two_more_scores())
        subjects = school.after("UPDATE work SET released = 1")
        of_release = [one for one in subjects if one.change == subjects[-1].change]
        assert sorted(one.student for one in of_release) == ["41", "42", "43"]

    def test_the_value_is_what_the_score_is_now(self, school: School) -> None:
        school.before("UPDATE work SET released = 0")
        assert school.values("UPDATE work SET released = 1") == (None, a_value("10/20", "50"))

    def test_a_student_without_a_score_sees_nothing_still(self, school: School) -> None:
        school.before("UPDATE work SET released = 0", "UPDATE score SET points = NULL")
        subjects = school.after("UPDATE work SET released = 1")
        assert (subjects[-1].before, subjects[-1].after) == (None, None)

    @pytest.mark.parametrize("flag", [0, 2])
    def test_an_assignment_that_is_taken_back_is_not_released(
        self, school: School, flag: int
    ) -> None:
        [subject] = school.after(f"UPDATE work SET released = {flag}")
        assert not subject.released

    def test_an_assignment_that_is_made_hidden_concerns_nobody(self, school: School) -> None:
        assert school.after("INSERT INTO work VALUES (6, 'Quiz 2', 20, 0)") == []

    def test_what_was_not_released_and_is_not_concerns_nobody(self, school: School) -> None:
        school.before("UPDATE work SET released = 0")
        assert school.after("UPDATE work SET released = 2") == []

    def test_an_assignment_that_is_made_visible_concerns_whom_it_scores(
        self, school: School
    ) -> None:
        school.sis.write("INSERT INTO score VALUES (2, 6, 42, '8')")
        subjects = school.after("INSERT INTO work VALUES (6, 'Quiz 2', 10, 1)")
        assert subjects[-1].after == a_value("8/10", "80")


class TestGrades:
    """A grade is told by its mark, compared by its percent, and seen once it is posted."""

    def test_the_mark_is_told_and_the_percent_is_compared(self, school: School) -> None:
        told = school.values("UPDATE grade SET percent = 85, mark = 'B'")
        assert told == (a_value("A", "90"), a_value("B", "85"))

    def test_without_a_mark_the_percent_is_told(self, school: School) -> None:
        _, after = school.values("UPDATE grade SET percent = 85.50, mark = NULL")
        assert after == a_value("85.5%", "85.5")

    def test_an_empty_mark_is_no_mark(self, school: School) -> None:
        _, after = school.values("UPDATE grade SET percent = 85, mark = ''")
        assert after == a_value("85%", "85")

    def test_before_it_was_posted_families_saw_nothing(self, school: School) -> None:
        school.sis.write("INSERT INTO grade VALUES (2, 42, 70, 'C', 'N')")
        subjects = school.after("UPDATE grade SET posted = 'Y' WHERE id = 2")
        assert (subjects[-1].before, subjects[-1].after) == (None, a_value("C", "70"))

    def test_a_posted_grade_that_changes_shows_both(self, school: School) -> None:
        before, _ = school.values("UPDATE grade SET percent = 85")
        assert before == a_value("A", "90")

    @pytest.mark.parametrize("flag", ["Y", "y", "yes", "TRUE", "t", "1"])
    def test_a_flag_may_be_a_word_for_yes(self, school: School, flag: str) -> None:
        [subject] = school.after(f"UPDATE grade SET posted = '{flag}', percent = 1")
        assert subject.released

    @pytest.mark.parametrize("flag", ["N", "no", "false", "f", "0", "", " ", "hidden"])
    def test_a_flag_of_any_other_word_releases_nothing(self, school: School, flag: str) -> None:
        [subject] = school.after(f"UPDATE grade SET posted = '{flag}'")
        assert not subject.released

    def test_a_flag_that_is_nothing_releases_nothing(self, school: School) -> None:
        [subject] = school.after("UPDATE grade SET posted = NULL")
        assert not subject.released


class TestAttendance:
    """A code is told by its label."""

    def test_both_codes_are_told_by_their_labels(self, school: School) -> None:
        assert school.values("UPDATE attendance SET code = 1") == (
            a_value("absent"),
            a_value("present"),
        )

    def test_a_code_without_a_label_is_told_as_it_is(self, school: School) -> None:
        _, after = school.values("UPDATE attendance SET code = 3")
        assert after == a_value("3")

    def test_a_mark_that_is_deleted_concerns_nobody(self, school: School) -> None:
        assert school.after("DELETE FROM attendance") == []


class TestMealBalances:
    """A balance is dollars, for everyone who eats from the account."""

    def test_every_student_on_the_account_is_concerned(self, school: School) -> None:
        subjects = school.after("UPDATE account SET balance = 4.75")
        assert sorted(one.student for one in subjects) == ["41", "42"]

    @pytest.mark.parametrize(
        ("balance", "told"),
        [
            ("4.75", "$4.75"),
            ("0", "$0.00"),
            ("5", "$5.00"),
            ("-1.5", "-$1.50"),
            ("1000", "$1000.00"),
        ],
    )
    def test_dollars_have_two_digits_and_a_sign(
        self, school: School, balance: str, told: str
    ) -> None:
        [subject, _] = school.after(f"UPDATE account SET balance = {balance}")
        assert subject.after == a_value(told, balance)

    def test_an_account_that_nobody_eats_from_concerns_nobody(self, school: School) -> None:
        assert school.after("INSERT INTO account VALUES (8, 1)") == []


class TestSchedules:
    """What several columns hold is told together."""

    def test_the_columns_are_told_in_the_order_of_the_definition(self, school: School) -> None:
        before, after = school.values("UPDATE session SET room = 'Gym'")
        assert (before, after) == (
            a_value("Monday, 09:40, Room 1"),
            a_value("Monday, 09:40, Gym"),
        )

    def test_a_column_that_is_empty_is_left_out(self, school: School) -> None:
        _, after = school.values("UPDATE session SET starts_at = NULL")
        assert after == a_value("Monday, Room 1")

    def test_a_word_that_is_nothing_is_no_detail(self, school: School) -> None:
        [subject] = school.after("UPDATE session SET room = 'Gym'")
        assert "title" not in subject.details


class TestMany:
    """The facts of a batch cost a handful of queries."""

    def test_a_thousand_records_of_two_watches_are_two_queries(self, school: School) -> None:
        scores = ", ".join(f"({number}, 5, {number}, '1')" for number in range(100, 600))
        grades = ", ".join(f"({number}, {number}, 1, 'A', 'Y')" for number in range(100, 600))
        school.sis.write(f"INSERT INTO score VALUES {scores}", f"INSERT INTO grade VALUES {grades}")
        changes = school.sis.changes()
        school.meaning(changes)  # the first says how long a statement may take
        with selects(school.sis.database) as sent:
            found = school.meaning(changes)
        assert (len(found), len(sent)) == (1_000, 2)

    def test_findings_of_one_change_stand_together(self, school: School) -> None:
        school.sis.write("INSERT INTO account VALUES (8, 1)", "INSERT INTO eater VALUES (43, 8)")
        subjects = school.after("UPDATE account SET balance = balance - 1")
        changes = [one.change for one in subjects]
        assert changes == sorted(changes, key=changes.index)

    def test_two_changes_of_one_record_are_told_one_by_one(self, school: School) -> None:
        subjects = school.after("UPDATE score SET points = '11'", "UPDATE score SET points = '12'")
        assert [(one.before, one.after) for one in subjects] == [
            (a_value("10/20", "50"), a_value("11/20", "55")),
            (a_value("11/20", "55"), a_value("12/20", "60")),
        ]

    def test_a_record_that_is_gone_meanwhile_concerns_nobody(self, school: School) -> None:
        assert school.after("UPDATE score SET points = '11'", "DELETE FROM score") == []

    def test_without_changes_nothing_is_asked(self, school: School) -> None:
        assert school.meaning([]) == []


class TestKeys:
    """Records are found again by any key."""

    @pytest.mark.parametrize(
        "key", ["B-1", "it's", 'quo"te', "back\\slash", "{a,b}", "null", "子涵"]
    )
    def test_a_key_of_text_finds_its_record(self, school: School, key: str) -> None:
        school.sis.put("INSERT INTO badge VALUES (?, 41, 'Gym')", key)
        [subject] = school.meaning(school.sis.changes())
        assert subject.record == f"badge {key}"

    def test_an_empty_key_concerns_nobody(self, school: School) -> None:
        school.sis.write("UPDATE score SET points = '11'")
        assert school.meaning([replace(school.sis.change(), key="")]) == []

    def test_a_change_that_no_watch_of_records_caught_concerns_nobody(self, school: School) -> None:
        school.sis.write("UPDATE score SET points = '11'")
        assert school.meaning([replace(school.sis.change(), watch="person")]) == []


def _two_more_scores() -> tuple[Any, ...]:
    return (
        "INSERT INTO score VALUES (2, 5, 42, '8')",
        "INSERT INTO score VALUES (3, 5, 43, NULL)",
    )
