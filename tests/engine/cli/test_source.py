"""The commands about a definition in the making, as a technician types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.cli.commands import CONFIG, Bell
from tests.engine.cli.odd import run
from tests.engine.sources.test_mutations import mutants

ODD, PARTS = 60, 3


@pytest.fixture
def bell(tmp_path: Path) -> Bell:
    """A SIS beside which nothing is installed."""
    return Bell.with_sis_only(tmp_path)


def test_a_draft_is_written_to_a_new_file_and_says_what_it_took(bell: Bell) -> None:
    file = bell.folder / "sis.toml"
    shown = bell("source", "draft", "--out", str(file))

    assert "✓ scores of assignments                score\n" in shown
    assert "· enrollments                          no table looks like it\n" in shown
    assert f"Then: schoolbell source try --definition {file}" in shown
    assert 'kind = "attendance"' in file.read_text("utf-8")


def test_a_draft_overwrites_nothing(bell: Bell) -> None:
    file = bell.folder / "sis.toml"
    file.write_text("mine")
    result = bell.run("source", "draft", "--out", str(file))

    assert "There is a file" in str(result.exception)
    assert file.read_text() == "mine"


def test_without_a_file_the_draft_is_printed_and_nothing_else(bell: Bell) -> None:
    shown = bell("source", "draft")

    assert shown.startswith("# The beginnings of a source definition for sqlite:///")
    assert "✓" not in shown


def test_the_draft_of_the_reference_can_be_tried_at_once(bell: Bell) -> None:
    file = bell.folder / "sis.toml"
    bell("source", "draft", "--out", str(file))
    shown = bell("source", "try", "--definition", str(file), "--watch", "score", "--last", "1")

    assert "✓ rights                         7 rows" in shown
    assert (
        "score (assignment) on score: 1 row, newest by score_id\n"
        "  score_id 96\n"
        "    guardian: Biology 9: Survey | (student) obtuvo 3/0.\n"
        "    guardian: Biology 9: Survey | (student) scored 3/0.\n"
        "    student: Biology 9: Survey | You scored 3/0.\n"
        "    told      2 guardians, the student\n"
        "    not told  1 guardian without portal right\n"
        "    not told  1 guardian whom a restriction keeps out\n"
        "    not told  1 guardian whose right has ended or not begun\n"
    ) in shown


def test_nobody_is_told_has_its_reason_in_words(bell: Bell) -> None:
    shown = bell("source", "try", "--watch", "session", "--watch", "score", "--last", "3")

    assert "score_id 95\n    not told  2 people: The student is not enrolled at" in shown
    assert "session_id 122\n    nobody    the facts have no row for it" in shown
    assert "grade (grade)" not in shown


def test_names_stand_there_when_asked_for(bell: Bell) -> None:
    shown = bell("source", "try", "--watch", "score", "--last", "1", "--names")

    assert "      Karl Reyes (person 37, guardian): RESTRICTED\n" in shown


def test_a_definition_that_waits_says_which_lines(bell: Bell) -> None:
    file = bell.folder / "sis.toml"
    file.write_text('name = "sis"\n# <FILL IN: not this>\ntable = "<FILL IN: the scores>"\n')
    result = bell.run("source", "try", "--definition", str(file))

    assert "waits to be filled in: line 3: the scores." in str(result.exception)


def test_the_exit_code_says_that_something_is_to_be_mended(bell: Bell) -> None:
    file = bell.folder / "sis.toml"
    bell("source", "draft", "--out", str(file))
    file.write_text(file.read_text("utf-8").replace("score.points AS value", "nothing AS value"))
    result = bell.run("source", "try", "--definition", str(file), "--last", "1")

    assert result.exit_code == 1
    assert "✗ The query [facts.assignment] of the source definition does not run" in result.stdout


@pytest.mark.parametrize("part", range(PARTS))
def test_an_odd_definition_is_tried_or_refused_in_a_sentence(
    bell: Bell, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """Also one that is sound as far as a check can tell, and has its faults in what rows give."""
    monkeypatch.chdir(bell.folder)
    for number, (_, text) in enumerate(mutants(ODD // PARTS, seed=part)):
        Path("odd.toml").write_text(text, "utf-8", newline="")
        command = chance_of(number)
        ended = run(["--config", "schoolbell.toml", *command])

        where = f"{command} with the definition {number} of {part}"
        assert ended.unforeseen is None, where
        assert ended.code in (0, 1, 2), where
        assert "Traceback" not in ended.said, where
        if ended.code == 2:
            assert ended.err.startswith("Error: "), where
            assert "\nWhat to do: " in ended.err, where


def chance_of(number: int) -> tuple[str, ...]:
    """Most are tried; what is granted is asked by the configuration, which names the definition."""
    if number % 4:
        return ("source", "try", "--last", "1", "--definition", "odd.toml")
    Path("schoolbell.toml").write_text(f'{CONFIG}[source]\ndefinition = "odd.toml"\n')
    return ("capture", "grants", "--role", "bell")
