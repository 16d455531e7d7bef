"""What the people of a school do, in the plain SQL of the program that they use.

Nothing here knows of Schoolbell. The caller owns the transaction, except in `sell_lunch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, text

Number = Decimal | int

MARKS: Final = (
    *((97, "A+"), (93, "A"), (90, "A-"), (87, "B+"), (83, "B"), (80, "B-")),
    *((77, "C+"), (73, "C"), (70, "C-"), (67, "D+"), (63, "D"), (60, "D-")),
)


def mark_for(percent: Decimal | float) -> str:
    """Return the letter for *percent*: 90 is an A-, 59.99 is an F."""
    return next((mark for limit, mark in MARKS if percent >= limit), "F")


# Work and marks


def add_assignment(
    connection: Connection,
    section_id: int,
    term_id: int,
    title: str,
    points_possible: Number,
    due: date,
    *,
    released: bool = True,
) -> int:
    """A teacher sets an assignment; return its id."""
    return int(
        connection.execute(
            text("""
                INSERT INTO assignment
                    (section_id, term_id, title, points_possible, due, released)
                VALUES (:section_id, :term_id, :title,
                    CAST(:points_possible AS numeric(6, 2)), :due, :released)
                RETURNING assignment_id
            """),
            {
                "section_id": section_id,
                "term_id": term_id,
                "title": title,
                "points_possible": str(points_possible),
                "due": due.isoformat(),
                "released": released,
            },
        ).scalar_one()
    )


def record_score(
    connection: Connection, assignment_id: int, student_id: int, points: Number | None
) -> None:
    """A teacher scores one student's work; None clears the score."""
    record_scores(connection, assignment_id, {student_id: points})


def record_scores(
    connection: Connection, assignment_id: int, points: Mapping[int, Number | None]
) -> None:
    """A teacher saves the grid of an assignment: each student's points, changed or not."""
    connection.execute(
        text("""
            INSERT INTO score (assignment_id, student_id, points)
            VALUES (:assignment_id, :student_id, CAST(:points AS numeric(6, 2)))
            ON CONFLICT (assignment_id, student_id)
            DO UPDATE SET points = excluded.points, modified_at = excluded.modified_at
        """),
        [
            {
                "assignment_id": assignment_id,
                "student_id": student_id,
                "points": None if number is None else str(number),
            }
            for student_id, number in points.items()
        ],
    )


def release_assignment(connection: Connection, assignment_id: int) -> None:
    """A teacher lets families see an assignment and all of its scores."""
    connection.execute(
        text("UPDATE assignment SET released = TRUE WHERE assignment_id = :assignment_id"),
        {"assignment_id": assignment_id},
    )


def enter_grades(
    connection: Connection, section_id: int, term_id: int, percents: Mapping[int, Number]
) -> None:
    """A teacher enters or corrects grades. Those not yet posted stay so."""
    connection.execute(
        text("""
            INSERT INTO posted_grade (section_id, term_id, student_id, percent, mark)
            VALUES (:section_id, :term_id, :student_id, CAST(:percent AS numeric(5, 2)), :mark)
            ON CONFLICT (section_id, term_id, student_id)
            DO UPDATE SET percent = excluded.percent, mark = excluded.mark
        """),
        [
            {
                "section_id": section_id,
                "term_id": term_id,
                "student_id": student_id,
                "percent": str(percent),
                "mark": mark_for(percent),
            }
            for student_id, percent in percents.items()
        ],
    )


def post_grades(connection: Connection, section_id: int, term_id: int) -> None:
    """A teacher posts the grades of a section for a term: now families see them."""
    connection.execute(
        text("""
            UPDATE posted_grade SET posted = TRUE
            WHERE section_id = :section_id AND term_id = :term_id
        """),
        {"section_id": section_id, "term_id": term_id},
    )


# Attendance


def take_attendance(
    connection: Connection, section_id: int, period: int, day: date, codes: Mapping[int, str]
) -> None:
    """A teacher takes attendance: a code for each student who is not simply there."""
    connection.execute(
        text("""
            INSERT INTO attendance (student_id, section_id, day, period, attendance_code_id)
            VALUES (:student_id, :section_id, :day, :period,
                (SELECT attendance_code_id FROM attendance_code WHERE code = :code))
            ON CONFLICT (student_id, day, period)
            DO UPDATE SET attendance_code_id = excluded.attendance_code_id
        """),
        [
            {
                "student_id": student_id,
                "section_id": section_id,
                "day": day.isoformat(),
                "period": period,
                "code": code,
            }
            for student_id, code in codes.items()
        ],
    )


def correct_attendance(
    connection: Connection, student_id: int, day: date, period: int, code: str
) -> None:
    """The office corrects one student's attendance."""
    connection.execute(
        text("""
            UPDATE attendance SET attendance_code_id =
                (SELECT attendance_code_id FROM attendance_code WHERE code = :code)
            WHERE student_id = :student_id AND day = :day AND period = :period
        """),
        {"student_id": student_id, "day": day.isoformat(), "period": period, "code": code},
    )


# Meals


def sell_lunch(connection: Connection, student_id: int, items: Mapping[str, Decimal]) -> None:
    """The cashier sells a lunch, as real programs were seen to do it: three commits.

    The transaction with the balance of before, then its items, then the account. The connection
    must be in nobody else's transaction.
    """
    total = sum(items.values(), Decimal())
    sale = connection.execute(
        text("""
            INSERT INTO meal_transaction
                (meal_account_id, student_id, kind, amount, balance_before)
            SELECT student.meal_account_id, student.student_id, 'sale',
                CAST(:total AS numeric(10, 2)), meal_account.balance
            FROM student
            JOIN meal_account ON meal_account.meal_account_id = student.meal_account_id
            WHERE student.student_id = :student_id
            RETURNING meal_transaction_id
        """),
        {"student_id": student_id, "total": str(total)},
    ).scalar_one()
    connection.commit()
    connection.execute(
        text("""
            INSERT INTO meal_item (meal_transaction_id, name, price)
            VALUES (:sale, :name, CAST(:price AS numeric(10, 2)))
        """),
        [{"sale": sale, "name": name, "price": str(price)} for name, price in items.items()],
    )
    connection.commit()
    _add_to_balance(connection, student_id, -total)
    connection.commit()


def deposit(connection: Connection, student_id: int, amount: Number) -> None:
    """A family pays money into the meal account of a student."""
    connection.execute(
        text("""
            INSERT INTO meal_transaction (meal_account_id, kind, amount, balance_before)
            SELECT meal_account.meal_account_id, 'deposit',
                CAST(:amount AS numeric(10, 2)), meal_account.balance
            FROM student
            JOIN meal_account ON meal_account.meal_account_id = student.meal_account_id
            WHERE student.student_id = :student_id
        """),
        {"student_id": student_id, "amount": str(amount)},
    )
    _add_to_balance(connection, student_id, amount)


def _add_to_balance(connection: Connection, student_id: int, amount: Number) -> None:
    # SQLite counts in binary fractions; rounding keeps the balance in whole cents there too.
    connection.execute(
        text("""
            UPDATE meal_account SET balance = ROUND(balance + CAST(:amount AS numeric(10, 2)), 2)
            WHERE meal_account_id =
                (SELECT meal_account_id FROM student WHERE student_id = :student_id)
        """),
        {"student_id": student_id, "amount": str(amount)},
    )


# The responsive schedule


def move_session(
    connection: Connection,
    session_id: int,
    *,
    day: date | None = None,
    starts_at: str | None = None,
    room: str | None = None,
) -> None:
    """A session gets another day, hour (HH:MM) or room; its students come along."""
    connection.execute(
        text("""
            UPDATE responsive_session SET
                day = COALESCE(:day, day),
                starts_at = COALESCE(:starts_at, starts_at),
                room = COALESCE(:room, room)
            WHERE session_id = :session_id
        """),
        {
            "session_id": session_id,
            "day": day.isoformat() if day else None,
            "starts_at": starts_at,
            "room": room,
        },
    )


def move_student_to_session(connection: Connection, student_id: int, session_id: int) -> None:
    """A student is placed in a session, in place of any other on that day."""
    connection.execute(
        text("""
            INSERT INTO placement (student_id, session_id, day)
            VALUES (:student_id, :session_id,
                (SELECT day FROM responsive_session WHERE session_id = :session_id))
            ON CONFLICT (student_id, day) DO UPDATE SET session_id = excluded.session_id
        """),
        {"student_id": student_id, "session_id": session_id},
    )


# The office


def add_guardian(
    connection: Connection, student_id: int, person_id: int, relation: str, starts: date
) -> None:
    """The office gives a person the portal right to a student, from *starts* on."""
    connection.execute(
        text("""
            INSERT INTO guardian (student_id, person_id, relation, starts)
            VALUES (:student_id, :person_id, :relation, :starts)
        """),
        {
            "student_id": student_id,
            "person_id": person_id,
            "relation": relation,
            "starts": starts.isoformat(),
        },
    )


def set_portal_right(
    connection: Connection, student_id: int, person_id: int, *, portal: bool
) -> None:
    """The office grants or takes away the portal right of a guardian."""
    connection.execute(
        text("""
            UPDATE guardian SET portal = :portal
            WHERE student_id = :student_id AND person_id = :person_id
        """),
        {"student_id": student_id, "person_id": person_id, "portal": portal},
    )


def restrict_guardian(connection: Connection, student_id: int, person_id: int) -> None:
    """A court order arrives: this guardian must see nothing of this student."""
    connection.execute(
        text("""
            UPDATE guardian SET restricted = TRUE
            WHERE student_id = :student_id AND person_id = :person_id
        """),
        {"student_id": student_id, "person_id": person_id},
    )


def end_right(connection: Connection, student_id: int, person_id: int, last_day: date) -> None:
    """The right of a guardian ends with *last_day*."""
    connection.execute(
        text("""
            UPDATE guardian SET ends = :last_day
            WHERE student_id = :student_id AND person_id = :person_id
        """),
        {"student_id": student_id, "person_id": person_id, "last_day": last_day.isoformat()},
    )


def set_language(connection: Connection, person_id: int, language: str) -> None:
    """A person asks to be written to in another language."""
    connection.execute(
        text("UPDATE person SET language = :language WHERE person_id = :person_id"),
        {"person_id": person_id, "language": language},
    )


def drop_class(connection: Connection, student_id: int, section_id: int) -> None:
    """A student leaves a class; the program deletes all that they had in it."""
    pair = {"student_id": student_id, "section_id": section_id}
    connection.execute(
        text("""
            DELETE FROM score WHERE student_id = :student_id AND assignment_id IN
                (SELECT assignment_id FROM assignment WHERE section_id = :section_id)
        """),
        pair,
    )
    for statement in (
        "DELETE FROM posted_grade WHERE student_id = :student_id AND section_id = :section_id",
        "DELETE FROM attendance WHERE student_id = :student_id AND section_id = :section_id",
        "DELETE FROM roster WHERE student_id = :student_id AND section_id = :section_id",
    ):
        connection.execute(text(statement), pair)


def withdraw_student(connection: Connection, student_id: int) -> None:
    """A student leaves the district, and so every class."""
    for statement in (
        "UPDATE student SET status = 'withdrawn' WHERE student_id = :student_id",
        "UPDATE roster SET status = 'dropped' WHERE student_id = :student_id",
    ):
        connection.execute(text(statement), {"student_id": student_id})


def transfer_student(connection: Connection, student_id: int, calendar_id: int) -> None:
    """A student moves to another school of the district."""
    connection.execute(
        text("UPDATE student SET calendar_id = :calendar_id WHERE student_id = :student_id"),
        {"student_id": student_id, "calendar_id": calendar_id},
    )


def activate_school_year(connection: Connection, school_year_id: int) -> None:
    """The district turns the page: this is the active year, and no other."""
    connection.execute(text("UPDATE school_year SET active = FALSE WHERE active"))
    connection.execute(
        text("UPDATE school_year SET active = TRUE WHERE school_year_id = :school_year_id"),
        {"school_year_id": school_year_id},
    )
