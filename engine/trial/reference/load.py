"""Loading many rows at once, in each database's quickest way."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from sqlalchemy import Column, Connection, MetaData, Table

from engine.dialects import dialect_of

Cell = str | int | float | None
Row = tuple[Cell, ...]

# In an order in which every foreign key finds its row; the id comes first.
TABLES: Final[dict[str, tuple[str, ...]]] = {
    "school": ("school_id", "name"),
    "school_year": ("school_year_id", "name", "starts", "ends", "active"),
    "calendar": ("calendar_id", "school_id", "school_year_id"),
    "term": ("term_id", "calendar_id", "name", "starts", "ends"),
    "attendance_code": ("attendance_code_id", "code", "description", "status", "excuse"),
    "person": ("person_id", "first_name", "last_name", "language", "email", "password_hash"),
    "staff": ("staff_id", "person_id", "school_id", "title"),
    "meal_account": ("meal_account_id", "balance"),
    "student": (
        "student_id",
        "person_id",
        "calendar_id",
        "meal_account_id",
        "grade_level",
        "status",
    ),
    "guardian": (
        "guardian_id",
        "student_id",
        "person_id",
        "relation",
        "portal",
        "starts",
        "ends",
        "restricted",
    ),
    "household": ("household_id", "name"),
    "household_member": ("household_member_id", "household_id", "person_id"),
    "homeroom": ("homeroom_id", "calendar_id", "staff_id", "name"),
    "homeroom_seat": ("homeroom_seat_id", "homeroom_id", "student_id"),
    "course": ("course_id", "calendar_id", "number", "title"),
    "section": ("section_id", "course_id", "staff_id", "number", "period", "room"),
    "roster": ("roster_id", "section_id", "student_id", "status", "starts", "ends"),
    "assignment": (
        "assignment_id",
        "section_id",
        "term_id",
        "title",
        "points_possible",
        "due",
        "released",
    ),
    "score": ("score_id", "assignment_id", "student_id", "points"),
    "posted_grade": (
        "posted_grade_id",
        "section_id",
        "term_id",
        "student_id",
        "percent",
        "mark",
        "posted",
    ),
    "attendance": (
        "attendance_id",
        "student_id",
        "section_id",
        "day",
        "period",
        "attendance_code_id",
    ),
    "meal_transaction": (
        "meal_transaction_id",
        "meal_account_id",
        "student_id",
        "kind",
        "amount",
        "balance_before",
    ),
    "meal_item": ("meal_item_id", "meal_transaction_id", "name", "price"),
    "responsive_session": (
        "session_id",
        "calendar_id",
        "staff_id",
        "title",
        "room",
        "day",
        "starts_at",
    ),
    "placement": ("placement_id", "student_id", "session_id", "day"),
    "camp": ("camp_id", "calendar_id", "title", "place", "starts", "ends"),
    "camp_session": ("camp_session_id", "camp_id", "title", "starts", "ends"),
    "camp_enrollment": (
        "camp_enrollment_id",
        "camp_session_id",
        "student_id",
        "type",
        "starts",
        "ends",
    ),
}


class Rows:
    """Rows on their way into an empty reference SIS. Each gets its id when it is added."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last_id = dict.fromkeys(TABLES, 0)
        self._waiting: dict[str, list[Row]] = {table: [] for table in TABLES}

    def add(self, table: str, *cells: Cell) -> int:
        """Add a row and return its id; it is in the database after the next `load`."""
        self._last_id[table] += 1
        self._waiting[table].append((self._last_id[table], *cells))
        return self._last_id[table]

    def add_person(self, rng: Random, first_name: str, last_name: str, language: str) -> int:
        """Add a person, with the private columns that nobody else should ever read."""
        email = f"{rng.getrandbits(40):010x}@example.org"
        password_hash = f"{rng.getrandbits(128):032x}"
        return self.add("person", first_name, last_name, language, email, password_hash)

    def load(self) -> None:
        """Bring the waiting rows into the database."""
        for table, rows in self._waiting.items():
            if rows:
                _load(self._connection, table, rows)
                rows.clear()

    def finish(self) -> None:
        """Load the rest; leave the database ready for others' inserts and queries."""
        self.load()
        dialect = dialect_of(self._connection)
        dialect.move_sequences(
            self._connection,
            {table: TABLES[table][0] for table, last in self._last_id.items() if last},
        )
        dialect.analyze(self._connection, TABLES)


def _load(connection: Connection, name: str, rows: Sequence[Row]) -> None:
    columns: list[Column[Cell]] = [Column(column) for column in TABLES[name]]
    dialect_of(connection).append(connection, Table(name, MetaData(), *columns), rows)
