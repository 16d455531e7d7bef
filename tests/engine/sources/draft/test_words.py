"""Names of every school's kind are read as the same few words."""

import pytest

from engine.sources.draft.words import words_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("student_scores", "student score"),
        ("StudentGradebookEntry", "student gradebook entry"),
        ("studentgradebookentry", "student gradebook entry"),
        ("STUDENTGRADEBOOKENTRY", "student gradebook entry"),
        ("tblAlumnoNotas", "student grade"),
        ("CALIFICACIONES", "grade"),
        ("Schüler", "student"),
        ("Fehlzeiten", "attendance"),
        ("Año", "year"),
        ("STU_FNAME", "student first title"),
        ("web_access_flg", "portal"),
        ("students_join_people", "student join person"),
        ("attendanceeventcategorydescriptorid", "attendance event type code key"),
        ("points_possible", "point possible"),
        ("Freigegeben", "released"),
        ("children", "children"),
        ("", ""),
        ("$", ""),
    ],
)
def test_a_name_is_taken_apart(name: str, words: str) -> None:
    assert " ".join(words_of(name)) == words
