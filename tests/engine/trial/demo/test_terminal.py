"""The terminal: readable at any width, and quiet about the many."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from engine.trial.demo.acts import ACTS
from engine.trial.demo.expected import Difference, Text
from engine.trial.demo.terminal import CROWDED, MOST_DIFFERENT, Terminal

ACT = ACTS[0]
TEXT = Text("Attendance: Chidi", "Chidi was marked absent in Biology 9 (period 1).")


def written(width: int = 80) -> tuple[Terminal, io.StringIO]:
    file = io.StringIO()
    return Terminal(Console(file=file, width=width, highlight=False)), file


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    terminal, file = written(width)
    terminal.begin(ACT)
    terminal.arrived("Ngozi's iPhone", TEXT)
    terminal.end(ACT, {"Ngozi's iPhone": [TEXT]}, [])
    terminal.phones({"Ngozi's iPhone": [TEXT, TEXT], "Emeka's phone": [], "Owen's phone": [TEXT]})
    terminal.facts([("Decisions", "538 to tell, 237 not to, and some more words about it")])
    assert max(cell_len(line) for line in file.getvalue().splitlines()) <= width


def test_phones_beside_one_another_are_equally_high() -> None:
    terminal, file = written(80)
    terminal.phones({"Ngozi's iPhone": [TEXT, TEXT], "Emeka's phone": []})
    lines = file.getvalue().splitlines()
    assert lines[0].count("╭") == 2
    assert lines[-1].count("╰") == 2


def test_of_many_texts_to_the_crowd_a_few_are_shown_and_the_others_counted() -> None:
    terminal, file = written()
    terminal.begin(ACT)
    for number in range(CROWDED + 1_000):
        terminal.arrived(f"person {number}'s phone", TEXT)
    terminal.end(ACT, {}, [])
    assert file.getvalue().count("person") == CROWDED
    assert "... and 1,000 more texts" in file.getvalue()


def test_of_many_differences_the_first_are_shown_and_the_others_counted() -> None:
    terminal, file = written()
    terminal.differences(
        [("at 09:10", Difference(f"phone {n}", [TEXT], [])) for n in range(MOST_DIFFERENT + 7)]
    )
    assert file.getvalue().count("missing") == MOST_DIFFERENT
    assert "... and 7 more" in file.getvalue()


def test_a_command_to_copy_is_not_broken_into_lines() -> None:
    terminal, file = written(40)
    terminal.command("schoolbell --config /a/very/long/path/to/schoolbell.toml status")
    assert len(file.getvalue().splitlines()) == 1


def test_a_text_of_brackets_is_shown_as_it_is() -> None:
    terminal, file = written()
    terminal.arrived("Ngozi's iPhone", Text("Quiz [bold]", "You scored [red]9/10[/red]. :smile:"))
    assert "Quiz [bold]  You scored [red]9/10[/red]. :smile:" in file.getvalue()
