"""Which bodies of a batch are confirmed: RabbitMQ answers in any order and for many at once."""

from hypothesis import given
from hypothesis import strategies as st

from engine.broker.rabbitmq.publisher import Confirms


def test_without_an_answer_nothing_is_kept() -> None:
    confirms = Confirms(first_tag=1, count=2)
    assert list(confirms.kept()) == [False, False]
    assert not confirms.complete


def test_an_ack_for_several_counts_for_all_that_are_older() -> None:
    confirms = Confirms(first_tag=1, count=3)
    confirms.answered(2, multiple=True, kept=True)
    assert list(confirms.kept()) == [True, True, False]
    confirms.answered(3, multiple=False, kept=True)
    assert confirms.complete


def test_a_nack_in_the_middle_is_told_for_its_body_alone() -> None:
    confirms = Confirms(first_tag=11, count=3)
    confirms.answered(12, multiple=False, kept=False)
    confirms.answered(13, multiple=True, kept=True)
    assert list(confirms.kept()) == [True, False, True]


def test_a_nack_for_several_spares_those_that_were_acked_before() -> None:
    confirms = Confirms(first_tag=1, count=3)
    confirms.answered(2, multiple=False, kept=True)
    confirms.answered(3, multiple=True, kept=False)
    assert list(confirms.kept()) == [False, True, False]


def test_a_returned_body_is_not_kept_although_it_is_acked() -> None:
    confirms = Confirms(first_tag=1, count=2)
    confirms.returned(1)
    confirms.answered(2, multiple=True, kept=True)
    assert list(confirms.kept()) == [False, True]
    assert confirms.first_returned == 0


def test_without_a_return_none_is_the_first_returned() -> None:
    confirms = Confirms(first_tag=1, count=2)
    confirms.answered(2, multiple=True, kept=True)
    assert confirms.first_returned is None


def test_answers_for_a_batch_that_was_given_up_are_not_for_this_one() -> None:
    confirms = Confirms(first_tag=5, count=2)
    confirms.returned(4)
    confirms.answered(4, multiple=True, kept=True)
    confirms.answered(3, multiple=False, kept=False)
    assert list(confirms.kept()) == [False, False]


@st.composite
def a_conversation(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, bool, bool]]]:
    """A batch and every kind of answer, also for tags that are not its own."""
    first, count = draw(st.integers(1, 50)), draw(st.integers(1, 20))
    tags = st.integers(max(1, first - 3), first + count + 2)
    answers = st.lists(st.tuples(tags, st.booleans(), st.booleans()), max_size=30)
    return first, count, draw(answers)


@given(a_conversation())
def test_the_first_answer_for_a_tag_counts(
    conversation: tuple[int, int, list[tuple[int, bool, bool]]],
) -> None:
    first, count, answers = conversation
    confirms, model = Confirms(first, count), dict[int, bool]()
    for tag, multiple, kept in answers:
        confirms.answered(tag, multiple=multiple, kept=kept)
        for one in range(1, tag + 1) if multiple else (tag,):
            model.setdefault(one, kept)
    batch = range(first, first + count)
    assert list(confirms.kept()) == [model.get(tag, False) for tag in batch]
    assert confirms.complete == all(tag in model for tag in batch)
