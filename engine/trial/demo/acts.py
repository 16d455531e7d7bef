"""The day, act by act: who writes what into the SIS, and what phones show because of it.

Every act is written in the plain SQL of a school's program, and lists, by hand, each text that
comes to each phone of the cast. What is not listed must not come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import Engine as SqlEngine

from engine.trial.demo.crowd import MOVED_TO, Crowd, of_projects, of_session, points_of
from engine.trial.demo.expected import Shown
from engine.trial.demo.program import Words
from engine.trial.demo.school import SCHOOL_DAY, School
from engine.trial.reference import day
from rules.reasons import Reason

LUNCH: Final = {"Lunch": Decimal("2.75"), "Milk": Decimal("0.50")}
RUSH: Final = 20  # others in the queue at the cash desk


@dataclass(frozen=True, slots=True)
class Scene:
    """What an act may touch: the SIS as its users do, the district's switch, and the API."""

    sis: SqlEngine
    school: School
    crowd: Crowd
    switch: Callable[[bool], None]
    write_to_class: Callable[[int, Words], None]


@dataclass(frozen=True, slots=True)
class Why:
    """What `why` must say when asked about an act."""

    student: str
    person: str
    reason: Reason
    about: str


@dataclass(frozen=True, slots=True)
class Act:
    """One act. *crowd* works out what comes to the phones of the crowd beside *shows*."""

    time: str
    story: str
    play: Callable[[Scene], None]
    shows: Sequence[Shown] = ()
    silence: str = ""
    crowd: Callable[[Crowd], Sequence[Shown]] | None = None
    why: Sequence[Why] = ()

    def expected(self, crowd: Crowd) -> Sequence[Shown]:
        """Every text that this act brings."""
        return [*self.shows, *(self.crowd(crowd) if self.crowd else ())]


# --- what the people of the school do ----------------------------------------------------------


def take_attendance(scene: Scene) -> None:
    """Two teachers take attendance in the first period."""
    ids = scene.school.students
    with scene.sis.begin() as connection:
        codes = {ids["Chidi"]: "A", ids["Priya"]: "T", ids["Hazel"]: "P"}
        day.take_attendance(connection, scene.school.biology, 1, SCHOOL_DAY, codes)
    with scene.sis.begin() as connection:
        day.take_attendance(connection, scene.school.reading, 1, SCHOOL_DAY, {ids["Minh"]: "A"})


def correct_attendance(scene: Scene) -> None:
    """The office corrects Chidi's attendance."""
    with scene.sis.begin() as connection:
        day.correct_attendance(connection, scene.school.students["Chidi"], SCHOOL_DAY, 1, "T")


def score_lab_report(scene: Scene) -> None:
    """The grid of the lab report, for the first time."""
    _save_grid(
        scene, "Lab report", {"Chidi": 13, "Sofía": 16, "Mateo": 15, "Priya": 19, "Hazel": 11}
    )


def correct_lab_report(scene: Scene) -> None:
    """The same grid, with two scores changed."""
    _save_grid(
        scene, "Lab report", {"Chidi": 12, "Sofía": 16, "Mateo": 15, "Priya": 19, "Hazel": 14}
    )


def score_projects(scene: Scene) -> None:
    """Each first-period teacher of the district saves the grid of the project."""
    for project in scene.crowd.projects:
        points = {pupil.student: points_of(pupil.student) for pupil in project.pupils}
        with scene.sis.begin() as connection:
            day.record_scores(connection, project.assignment, points)


def score_unit_test(scene: Scene) -> None:
    """Scores of an assignment that families do not see yet."""
    _save_grid(scene, "Unit test", {"Chidi": 88, "Priya": 93})


def release_unit_test(scene: Scene) -> None:
    """Now they do."""
    with scene.sis.begin() as connection:
        day.release_assignment(connection, scene.school.work["Unit test"])


def score_who_has_left(scene: Scene) -> None:
    """Tariq leaves the district, and his teacher does not know it yet."""
    with scene.sis.begin() as connection:
        day.withdraw_student(connection, scene.school.students["Tariq"])
    _save_grid(scene, "Lab report", {"Tariq": 17})


def rush_to_lunch(scene: Scene) -> None:
    """Sofía buys lunch, and many others after her."""
    with scene.sis.connect() as connection:
        day.sell_lunch(connection, scene.school.students["Sofía"], LUNCH)
        for pupil in scene.crowd.pupils[:RUSH]:
            day.sell_lunch(connection, pupil.student, LUNCH)


def feed_the_twin(scene: Scene) -> None:
    """Mateo pays from the same account."""
    with scene.sis.connect() as connection:
        day.sell_lunch(connection, scene.school.students["Mateo"], LUNCH)


def enter_grades(scene: Scene) -> None:
    """Grades that are not posted yet."""
    ids = scene.school.students
    with scene.sis.begin() as connection:
        percents = {ids["Chidi"]: 76, ids["Priya"]: 95}
        day.enter_grades(connection, scene.school.biology, scene.school.term, percents)


def post_grades(scene: Scene) -> None:
    """Now they are."""
    with scene.sis.begin() as connection:
        day.post_grades(connection, scene.school.biology, scene.school.term)


def restrict_and_score(scene: Scene) -> None:
    """A court order reaches the office, and right after it there is a score."""
    with scene.sis.begin() as connection:
        day.restrict_guardian(
            connection, scene.school.students["Chidi"], scene.school.people["Emeka"]
        )
    _save_grid(scene, "Homework 5", {"Chidi": 9})


def move_robotics(scene: Scene) -> None:
    """Robotics gets another hour and another room."""
    with scene.sis.begin() as connection:
        day.move_session(connection, scene.school.robotics, starts_at="10:20", room="Lab 2")


def move_session(scene: Scene) -> None:
    """So does a session of the crowd."""
    starts_at, room = MOVED_TO
    with scene.sis.begin() as connection:
        day.move_session(connection, scene.crowd.session.session, starts_at=starts_at, room=room)


def correct_last_year(scene: Scene) -> None:
    """An essay of last year gets more points."""
    with scene.sis.begin() as connection:
        day.record_score(
            connection, scene.school.last_years_essay, scene.school.students["Chidi"], 75
        )


def lose_a_grid(scene: Scene) -> None:
    """The program fails between the last row and the commit."""
    ids = scene.school.students
    with scene.sis.connect() as connection:
        points: dict[int, day.Number | None] = {ids["Chidi"]: 3, ids["Priya"]: 4}
        day.record_scores(connection, scene.school.work["Homework 6"], points)
        connection.rollback()


def switch_off_and_score(scene: Scene) -> None:
    """The district is switched off, and then there is a score."""
    scene.switch(False)
    _save_grid(scene, "Homework 6", {"Chidi": 8})


def switch_on_and_score(scene: Scene) -> None:
    """The district is switched on, and then there is another score."""
    scene.switch(True)
    _save_grid(scene, "Homework 6", {"Chidi": 8, "Priya": 10})


def write_to_biology(scene: Scene) -> None:
    """The office writes to the families of the biology class, in two languages."""
    scene.write_to_class(
        scene.school.biology,
        {
            "en": (
                "{{ class_name }}: field trip",
                "Please bring closed shoes on Friday, for {{ student_first_name }}.",
            ),
            "es": (
                "{{ class_name }}: excursión",
                "Por favor, zapatos cerrados el viernes, para {{ student_first_name }}.",
            ),
        },
    )


def _save_grid(scene: Scene, title: str, points: dict[str, int]) -> None:
    """A teacher saves an assignment's grid, in one transaction."""
    grid: dict[int, day.Number | None] = {
        scene.school.students[name]: number for name, number in points.items()
    }
    with scene.sis.begin() as connection:
        day.record_scores(connection, scene.school.work[title], grid)


def _field_trip(phone: str, whose: str) -> Shown:
    body = f"Please bring closed shoes on Friday, for {whose}."
    return Shown(phone, "Biology 9 (1): field trip", body)


# --- what comes of it --------------------------------------------------------------------------

ACTS: Final = (
    Act(
        "08:05",
        "First period. Chidi and Minh are absent, Priya is late, Hazel is there.",
        take_attendance,
        shows=(
            Shown(
                "Ngozi's iPhone",
                "Attendance: Chidi",
                "Chidi was marked absent in Biology 9 (period 1) on 2026-11-23.",
            ),
            Shown(
                "Ngozi's tablet",
                "Attendance: Chidi",
                "Chidi was marked absent in Biology 9 (period 1) on 2026-11-23.",
            ),
            Shown(
                "Chidi's phone",
                "Attendance",
                "You were marked absent in Biology 9 (period 1) on 2026-11-23.",
            ),
            Shown(
                "the Patel iPhone",
                "Attendance: Priya",
                "Priya was marked tardy in Biology 9 (period 1) on 2026-11-23.",
            ),
            Shown(
                "Minh's iPhone",
                "Attendance",
                "You were marked absent in Reading 3 (period 1) on 2026-11-23.",
            ),
        ),
        silence="Minh's school hides attendance from guardians; being there is no news of Hazel.",
        why=(
            Why("Minh", "Linh", Reason.DISPLAY_OPTION_OFF, "Minh's absence"),
            Why("Hazel", "Hazel", Reason.NOTHING_TO_TELL, "Hazel being there"),
        ),
    ),
    Act(
        "08:25",
        "The office corrects it: Chidi was only late.",
        correct_attendance,
        shows=(
            Shown(
                "Ngozi's iPhone",
                "Attendance: Chidi",
                "Chidi was marked tardy in Biology 9 (period 1) on 2026-11-23 (was absent).",
                instead_of="Chidi was marked absent in Biology 9 (period 1) on 2026-11-23.",
            ),
            Shown(
                "Ngozi's tablet",
                "Attendance: Chidi",
                "Chidi was marked tardy in Biology 9 (period 1) on 2026-11-23 (was absent).",
                instead_of="Chidi was marked absent in Biology 9 (period 1) on 2026-11-23.",
            ),
            Shown(
                "Chidi's phone",
                "Attendance",
                "You were marked tardy in Biology 9 (period 1) on 2026-11-23 (was absent).",
                instead_of="You were marked absent in Biology 9 (period 1) on 2026-11-23.",
            ),
        ),
        silence="The new text takes the place of the old one.",
    ),
    Act(
        "09:10",
        "Lab reports are scored, of 20: Chidi 13, Sofía 16, Mateo 15, Priya 19, Hazel 11.",
        score_lab_report,
        shows=(
            Shown("Ngozi's iPhone", "Biology 9: Lab report", "Chidi scored 13/20."),
            Shown("Ngozi's tablet", "Biology 9: Lab report", "Chidi scored 13/20."),
            Shown("Emeka's phone", "Biology 9: Lab report", "Chidi scored 13/20."),
            Shown("Chidi's phone", "Biology 9: Lab report", "You scored 13/20."),
            Shown("Carmen's iPhone", "Biology 9: Lab report", "Mateo obtuvo 15/20."),
            Shown("the García tablet", "Biology 9: Lab report", "You scored 16/20."),
            Shown("the Patel iPhone", "Biology 9: Lab report", "Priya scored 19/20."),
        ),
        silence="Carmen asked for what is below 80 %: Mateo's 75 % is, Sofía's 80 % is not.",
        why=(
            Why("Chidi", "Emeka", Reason.TOLD, "Chidi's 13 of 20"),
            Why("Sofía", "Carmen", Reason.THRESHOLD_NOT_CROSSED, "Sofía's 16 of 20"),
            Why("Priya", "Priya", Reason.DEVICE_ALREADY_TOLD, "her own 19 of 20"),
            Why("Hazel", "Hazel", Reason.NOT_SUBSCRIBED, "Hazel's lab report"),
            Why("Hazel", "Grace", Reason.STAY_LOGGED_IN_OFF, "Hazel's lab report"),
            Why("Hazel", "Owen", Reason.SESSION_ENDED, "Hazel's lab report"),
            Why("Hazel", "Nora", Reason.NO_PORTAL_RIGHT, "Hazel's lab report"),
            Why("Hazel", "Jack", Reason.RIGHT_NOT_IN_FORCE, "Hazel's lab report"),
            Why("Hazel", "Ruby", Reason.NO_ACCOUNT, "Hazel's lab report"),
            Why("Hazel", "Henry", Reason.TOLD, "Hazel's lab report"),
        ),
    ),
    Act(
        "09:20",
        "The teacher saves the same grid once more, unchanged.",
        score_lab_report,
        silence="Nothing changed, so nothing is told.",
    ),
    Act(
        "09:30",
        "Two scores are corrected: Chidi from 13 to 12, Hazel from 11 to 14.",
        correct_lab_report,
        shows=(
            Shown(
                "Emeka's phone",
                "Biology 9: Lab report",
                "Chidi scored 12/20 (was 13/20).",
                instead_of="Chidi scored 13/20.",
            ),
            Shown(
                "Chidi's phone",
                "Biology 9: Lab report",
                "You scored 12/20 (was 13/20).",
                instead_of="You scored 13/20.",
            ),
        ),
        silence="Ngozi asked for what falls below 70 %, and it had fallen already.",
        why=(
            Why("Chidi", "Ngozi", Reason.THRESHOLD_NOT_CROSSED, "Chidi's 12 after 13"),
            Why("Hazel", "Henry", Reason.NO_DEVICE, "Hazel's correction"),
        ),
    ),
    Act(
        "10:00",
        "Every first-period class of the district gets its projects back.",
        score_projects,
        crowd=of_projects,
    ),
    Act(
        "10:40",
        "Unit tests are scored, and not yet released to families.",
        score_unit_test,
        silence="Nobody may see them yet.",
        why=(Why("Chidi", "Chidi", Reason.NOT_RELEASED, "his unit test"),),
    ),
    Act(
        "11:00",
        "The teacher releases the unit test.",
        release_unit_test,
        shows=(
            Shown("Emeka's phone", "Biology 9: Unit test", "Chidi scored 88/100."),
            Shown("Chidi's phone", "Biology 9: Unit test", "You scored 88/100."),
            Shown("the Patel iPhone", "Biology 9: Unit test", "Priya scored 93/100."),
        ),
    ),
    Act(
        "11:20",
        "Tariq leaves the district; his teacher, who does not know it yet, scores him.",
        score_who_has_left,
        silence="His mother Imani hears nothing: he is not enrolled any more.",
        why=(Why("Tariq", "Imani", Reason.NOT_ENROLLED, "Tariq's lab report"),),
    ),
    Act(
        "12:05",
        f"Lunch: Sofía and {RUSH} others pay. The twins' account falls from $8.00 to $4.75.",
        rush_to_lunch,
        shows=(
            Shown(
                "Carmen's iPhone",
                "Saldo de comedor: Sofía",
                "El saldo de comedor de Sofía es $4.75 (antes $8.00).",
            ),
            Shown("the García tablet", "Meal balance", "Your meal balance is $4.75 (was $8.00)."),
        ),
        silence="One account, two children: each phone is told once. Nobody else asked for meals.",
        why=(Why("Mateo", "Carmen", Reason.DEVICE_ALREADY_TOLD, "Mateo's lunch money"),),
    ),
    Act(
        "12:10",
        "Mateo pays from the same account: $1.50 are left.",
        feed_the_twin,
        shows=(
            Shown(
                "Rafael's phone",
                "Meal balance: Sofía",
                "Sofía's meal balance is $1.50 (was $4.75).",
            ),
            Shown(
                "the García tablet",
                "Meal balance",
                "Your meal balance is $1.50 (was $4.75).",
                instead_of="Your meal balance is $4.75 (was $8.00).",
            ),
        ),
        silence="Carmen's limit of $5 was crossed before; Rafael's of $2 is crossed now.",
    ),
    Act(
        "12:40",
        "Biology grades are entered, and not yet posted.",
        enter_grades,
        silence="Families see them when they are posted.",
    ),
    Act(
        "12:50",
        "The teacher posts them.",
        post_grades,
        shows=(
            Shown("Ngozi's iPhone", "Biology 9: grade posted", "Chidi's Q2 grade is C."),
            Shown("Ngozi's tablet", "Biology 9: grade posted", "Chidi's Q2 grade is C."),
            Shown("Chidi's phone", "Biology 9: grade posted", "Your Q2 grade is C."),
            Shown("the Patel iPhone", "Biology 9: grade posted", "Priya's Q2 grade is A."),
        ),
    ),
    Act(
        "13:15",
        "A court order restricts Emeka from Chidi's records. A moment later Chidi is scored.",
        restrict_and_score,
        shows=(Shown("Chidi's phone", "Biology 9: Homework 5", "You scored 9/10."),),
        silence="Emeka, his father, heard of every score until now, and not of this one.",
        why=(Why("Chidi", "Emeka", Reason.RESTRICTED, "Chidi's homework"),),
    ),
    Act(
        "13:30",
        "Robotics moves to another hour and room.",
        move_robotics,
        shows=(
            Shown(
                "Chidi's phone",
                "Schedule",
                "Your Robotics is now: 2026-12-01, 10:20, Lab 2 (was 2026-12-01, 09:40, Room 12).",
            ),
            Shown(
                "the Patel iPhone",
                "Schedule: Priya",
                "Priya's Robotics is now: 2026-12-01, 10:20, Lab 2 "
                "(was 2026-12-01, 09:40, Room 12).",
            ),
        ),
    ),
    Act(
        "13:40",
        "A session of another school moves, with all who are placed in it.",
        move_session,
        crowd=of_session,
    ),
    Act(
        "14:00",
        "A teacher corrects an essay of last year.",
        correct_last_year,
        silence="That year is over.",
        why=(Why("Chidi", "Chidi", Reason.YEAR_NOT_ACTIVE, "last year's essay"),),
    ),
    Act(
        "14:10",
        "The teacher's program fails while it saves a grid: the transaction is rolled back.",
        lose_a_grid,
        silence="What was not committed never happened.",
    ),
    Act(
        "14:20",
        "The district switches push notifications off. Chidi is scored 8/10.",
        switch_off_and_score,
        silence="What happens meanwhile is not told, not even later.",
        why=(Why("Chidi", "Chidi", Reason.DISTRICT_OFF, "his homework"),),
    ),
    Act(
        "14:30",
        "The district switches them on again. The grid is saved with Priya's 10/10 added.",
        switch_on_and_score,
        shows=(Shown("the Patel iPhone", "Biology 9: Homework 6", "Priya scored 10/10."),),
    ),
    Act(
        "15:10",
        "The office's program writes to the families of the biology class, by the portal's API.",
        write_to_biology,
        shows=(
            *(
                _field_trip(phone, "Chidi")
                for phone in (
                    "Ngozi's iPhone",
                    "Ngozi's tablet",
                    "Chidi's phone",
                )
            ),
            Shown(
                "Carmen's iPhone",
                "Biology 9 (1): excursión",
                "Por favor, zapatos cerrados el viernes, para Sofía, Mateo.",
            ),
            _field_trip("Rafael's phone", "Sofía, Mateo"),
            _field_trip("the García tablet", "Sofía"),
            _field_trip("the Patel iPhone", "Priya"),
            _field_trip("Hazel's phone", "Hazel"),
        ),
        silence="Emeka is restricted, Tariq has left; who shares a tablet is told once on it.",
    ),
)
