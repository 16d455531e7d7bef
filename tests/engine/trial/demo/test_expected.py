"""Expected beside there: what is missing, what is too much."""

from hypothesis import given
from hypothesis import strategies as st

from engine.trial.demo.expected import Difference, Shown, Text, arrivals, compare, screens

QUIZ = Text("Quiz", "You scored 9/10.")
ESSAY = Text("Essay", "You scored 71/100.")
TEXTS = st.lists(st.builds(Text, st.sampled_from("ab"), st.sampled_from("xy")), max_size=4)
SCREENS = st.dictionaries(st.sampled_from(["Ada", "Ben"]), TEXTS)


def test_a_text_that_did_not_come_is_missing() -> None:
    assert compare({"Ada": [QUIZ, ESSAY]}, {"Ada": [ESSAY]}) == [Difference("Ada", [QUIZ], [])]


def test_a_phone_that_shows_nothing_at_all_lacks_everything() -> None:
    assert compare({"Ada": [QUIZ]}, {}) == [Difference("Ada", [QUIZ], [])]


def test_a_text_that_should_not_have_come_is_unexpected() -> None:
    assert compare({}, {"Ben": [QUIZ]}) == [Difference("Ben", [], [QUIZ])]


def test_the_same_text_twice_is_once_too_often() -> None:
    assert compare({"Ada": [QUIZ]}, {"Ada": [QUIZ, QUIZ]}) == [Difference("Ada", [], [QUIZ])]


def test_another_wording_is_both_missing_and_unexpected() -> None:
    other = Text("Quiz", "You have 9 of 10.")
    assert compare({"Ada": [QUIZ]}, {"Ada": [other]}) == [Difference("Ada", [QUIZ], [other])]


def test_a_text_on_the_wrong_phone_concerns_both_phones() -> None:
    found = compare({"Ada": [QUIZ]}, {"Ben": [QUIZ]})
    assert found == [Difference("Ada", [QUIZ], []), Difference("Ben", [], [QUIZ])]


@given(SCREENS)
def test_what_is_as_expected_has_no_difference_in_any_order(
    screens_: dict[str, list[Text]],
) -> None:
    assert compare(screens_, {name: texts[::-1] for name, texts in screens_.items()}) == []


@given(SCREENS, SCREENS)
def test_what_is_missing_one_way_round_is_unexpected_the_other(
    left: dict[str, list[Text]], right: dict[str, list[Text]]
) -> None:
    turned = [Difference(one.phone, one.unexpected, one.missing) for one in compare(right, left)]
    assert compare(left, right) == turned


def test_a_text_that_replaces_another_came_too_and_stays_alone() -> None:
    shown = [
        Shown("Ada", "Quiz", "You scored 8/10."),
        Shown("Ada", "Quiz", "You scored 9/10.", instead_of="You scored 8/10."),
    ]
    assert arrivals(shown) == {"Ada": [Text("Quiz", "You scored 8/10."), QUIZ]}
    assert screens(shown) == {"Ada": [QUIZ]}
