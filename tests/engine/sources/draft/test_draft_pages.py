"""What a draft says of the pages for broadcasts, and of keys for which a schema shows the need."""

from __future__ import annotations

import re
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from engine.database import Database
from engine.services.source import draft
from engine.sources.definition import Definition
from engine.sources.loading import load
from engine.sources.pages import Narrowed, Page, SisPages
from engine.sources.source import SqlSource
from tests.engine.sources.draft.databases import FOLDER, filled, made

ANSWERS = {
    "the columns that together identify a row of term_grade": 'student_id", "section_id',
    "the same columns": 'student_id", "section_id',
    "what is shown": "term_grade.student_id || '/' || term_grade.section_id",
}
FAMILY = """
INSERT INTO school VALUES (1, 'Oak Hill');
INSERT INTO school_year VALUES (2, '2026-27', TRUE);
INSERT INTO calendar VALUES (3, 1, 2);
INSERT INTO person VALUES (31, 'Ada', 'Reyes', 'en'), (34, 'Lucía', 'Reyes', 'es');
INSERT INTO student VALUES (41, 31, 3, '9', TRUE);
INSERT INTO household VALUES (5, 'Reyes');
INSERT INTO household_member VALUES (5, 31), (5, 34);
INSERT INTO course VALUES (6, 'Biology', 3);
INSERT INTO section VALUES (7, 6, '12');
INSERT INTO section_roster VALUES (8, 41, 7, TRUE, NULL, NULL);
INSERT INTO camp VALUES (9, 'Robotics', 1, '2026-07-01', '2026-07-05');
INSERT INTO camp_enrollment VALUES (10, 41, 9, TRUE, '2026-07-01', '2026-07-05')
"""


@pytest.fixture
def school(database_url: str) -> str:
    url = made(database_url, FOLDER / "camps.sql")
    with closing(Database(url)) as database, database.write() as connection:
        for statement in FAMILY.split(";"):
            connection.exec_driver_sql(statement)
    return url


def written(school: str, folder: Path) -> Definition:
    """The draft, filled in by a technician."""
    text = filled(draft(school, None), ANSWERS)
    text = re.sub(r'"student_id", "section_id"', '["student_id", "section_id"]', text)
    text = text.replace("# key_without_constraint", "key_without_constraint")
    head, grades = text.split("[facts.grade]")
    grades = grades.replace("SELECT\n", "SELECT\n    term_grade.section_id,\n", 1)
    text = f"{head}[facts.grade]{grades}"
    file = folder / "sis.toml"
    file.write_text(text, "utf-8")
    return load(str(file))


def test_each_page_of_a_draft_leads_to_the_student(school: str, tmp_path: Path) -> None:
    definition = written(school, tmp_path)

    with closing(Database(school)) as database:
        SqlSource(database, definition).check()
        pages = SisPages(database, definition)
        found = {
            page: [one.student for one in pages.behind(page, Narrowed())] for page in pages.offered
        }
        (student,) = pages.look(Page.STUDENTS).rows

    assert found == {page: ["41"] for page in Page}
    assert student == ("41", "Reyes, Ada", "1", "2026-27", "9", "", student[-1])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("# key_without_constraint = true", "No constraint says what identifies a row"),
        ("scale = 100", "reads like cents"),
        ('# first_of = ["office_percent", "grade_percent"]', "wins over the other"),
        ("# scale = 4", "goes to another value than 100"),
        ("A row of grades_completed may say", "`appears = true`"),
    ],
)
def test_a_key_that_the_schema_asks_for_stands_there_with_its_reason(
    school: str, line: str, why: str
) -> None:
    text = draft(school, None).text

    said = text.replace("\n# ", " ")
    assert line in text or line in said
    assert why in said


def test_a_page_of_which_something_is_not_known_is_a_comment(sqlite_url: str) -> None:
    text = draft(made(sqlite_url, FOLDER / "edfi.sql"), None).text

    assert "# [pages.classes]\n" in text
    assert "<FILL IN: whether the student takes part, like enddate IS NULL> AS active" in text
    assert "No table here looks like families." in text
    assert "pages" not in tomllib.loads(text)
