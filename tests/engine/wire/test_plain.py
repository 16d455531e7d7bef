"""Words of somebody else in a terminal."""

import pytest

from engine.cli import show
from engine.ports import Parked
from engine.wire.plain import LONGEST, plain


def test_words_of_any_language_stay_as_they_are() -> None:
    assert plain("Zoë · 数学: not readable") == "Zoë · 数学: not readable"


@pytest.mark.parametrize("sign", ["\x1b", "\n", "\r", "\b", "\x9b", "\u202e", "\u2028", "\ud800"])
def test_what_moves_the_cursor_or_turns_the_text_is_a_space(sign: str) -> None:
    assert plain(f"all{sign}well") == "all well"


def test_what_is_long_is_cut_and_seen_to_be() -> None:
    assert plain("x" * LONGEST) == "x" * LONGEST
    assert plain("x" * 10_000) == "x" * LONGEST + "…"


def test_what_is_parked_at_a_hub_cannot_rewrite_the_screen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.parked_at_hub(
        [("north", Parked(b"", "\x1b]0;owned\x07\nmessage in pushes.dead of south"))]
    )
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "message in pushes.dead of north",
        "   ]0;owned  message in pushes.dead of south",
    ]
