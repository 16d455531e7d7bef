"""Words of somebody else in a terminal."""

import pytest

from engine.wire.plain import LONGEST, plain


def test_words_of_any_language_stay_as_they_are() -> None:
    assert plain("Zoë · 数学: not readable") == "Zoë · 数学: not readable"


@pytest.mark.parametrize("sign", ["\x1b", "\n", "\r", "\b", "\x9b", "\u202e", "\u2028", "\ud800"])
def test_what_moves_the_cursor_or_turns_the_text_is_a_space(sign: str) -> None:
    assert plain(f"all{sign}well") == "all well"


def test_what_is_long_is_cut_and_seen_to_be() -> None:
    assert plain("x" * LONGEST) == "x" * LONGEST
    assert plain("x" * 10_000) == "x" * LONGEST + "…"
