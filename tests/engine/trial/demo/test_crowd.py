"""The crowd's one plain rule, on a crowd of a few."""

from engine.trial.demo.crowd import (
    Crowd,
    Project,
    Pupil,
    Relative,
    Session,
    of_projects,
    of_session,
)
from engine.trial.demo.expected import arrivals


def a_relative(person: int, student: int, relation: str = "mother", **given: object) -> Relative:
    words = {"language": "en", "may_see": True, **given}
    return Relative(person, student, relation, **words)


def a_crowd(*pupils: Pupil) -> Crowd:
    session = Session(5, "Chess", "2026-12-01", "09:40", "Room 1", pupils)
    return Crowd(pupils, (Project(3, "Art 9", pupils),), session)


def bodies(shown: list[object], person: int) -> list[str]:
    return [text.body for text in arrivals(shown).get(f"person {person}'s phone", ())]


def test_a_student_is_told_as_you_and_a_guardian_by_the_name() -> None:
    pupil = Pupil(10, "Ada", (a_relative(1, 10, relation=""), a_relative(2, 10)))
    shown = of_projects(a_crowd(pupil))
    assert bodies(shown, 1) == ["You scored 35/50."]
    assert bodies(shown, 2) == ["Ada scored 35/50."]


def test_a_guardian_who_reads_spanish_is_told_in_spanish() -> None:
    pupil = Pupil(10, "Ada", (a_relative(2, 10, language="es"),))
    assert bodies(of_projects(a_crowd(pupil)), 2) == ["Ada obtuvo 35/50."]


def test_a_guardian_who_may_not_see_the_student_is_not_told() -> None:
    pupil = Pupil(10, "Ada", (a_relative(2, 10, may_see=False),))
    assert not of_projects(a_crowd(pupil))


def test_a_guardian_of_two_hears_of_each_child_once() -> None:
    crowd = a_crowd(Pupil(11, "Ben", (a_relative(2, 11),)), Pupil(10, "Ada", (a_relative(2, 10),)))
    assert len(bodies(of_projects(crowd), 2)) == 2
    moved = "Chess is now: 2026-12-01, 11:15, Library (was 2026-12-01, 09:40, Room 1)."
    assert sorted(bodies(of_session(crowd), 2)) == [f"Ada's {moved}", f"Ben's {moved}"]
