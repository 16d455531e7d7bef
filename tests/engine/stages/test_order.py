"""The order of a record's texts: a text older than one that was told is never sent after it."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from engine.store.tables import due, outcomes
from engine.wire.messages import Push
from rules.outcomes import REDELIVERED, Verdict
from rules.reasons import Reason
from tests.builders import NOW, a_change, an_outcome
from tests.district import FATHER, MOTHER, District, scored


def of_mother(district: District, pushes: Sequence[Push]) -> Push:
    (push,) = [one for one in pushes if one.device_id == district.devices()[MOTHER]]
    return push


def deferred(district: District, *pushes: Push) -> None:
    district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE", at=NOW) for one in pushes]
    )
    district.clock.forward(timedelta(minutes=2))


def refused(district: District) -> list[tuple[str, str]]:
    return [
        (f"{origin}.{device}", reason)
        for origin, device, reason in district.rows(
            select(outcomes.c.origin_id, outcomes.c.device_id, outcomes.c.reason).where(
                outcomes.c.verdict == Verdict.REFUSED
            )
        )
    ]


def test_of_two_changes_of_one_moment_that_are_deferred_the_newer_is_sent(
    district: District,
) -> None:
    """Ids are a millisecond and a hash: here the older has the higher one."""
    older, newer = scored(9, 17, position=1), scored(17, 18, position=2)
    older, newer = (
        a_change("score", "91", one.before, one.after, change_id=id_, position=one.position)
        for one, id_ in ((older, newer.id), (newer, older.id))
    )
    deferred(district, *district.evaluate(older), *district.evaluate(newer))

    again = district.due()

    assert {push.position for push in again} == {2}
    assert {reason for _, reason in refused(district)} == {"SUPERSEDED"}


def test_a_change_that_comes_after_a_later_one_of_its_record_tells_nobody(
    district: District,
) -> None:
    newer = scored(17, 18, position=2, at=NOW - timedelta(seconds=1))  # a clock was set back
    older = scored(9, 17, position=1)
    district.evaluate(newer)

    assert district.evaluate(older) == []
    assert district.reasons(older)[MOTHER] is Reason.SUPERSEDED


def test_in_one_batch_the_order_is_that_of_positions(district: District) -> None:
    pushes = district.evaluate(scored(17, 18, position=2), scored(9, 17, position=1))

    assert [push.position for push in pushes] == [1, 1, 1, 2, 2, 2]


def test_a_change_of_another_record_is_not_old(district: District) -> None:
    district.evaluate(scored(17, 18, position=2))

    other = a_change("posted-grade", "101", {"mark": "B"}, {"mark": "A"}, position=1)

    assert district.reasons(other) == {}
    district.evaluate(other)
    assert Reason.SUPERSEDED not in district.reasons(other).values()


def test_a_change_that_comes_again_does_not_publish_what_a_newer_text_replaced(
    district: District,
) -> None:
    """Evaluate died between storing and publishing, and the newer change was told since."""
    older = scored(9, 17, position=1)
    first = district.evaluate(older)
    district.evaluate(scored(17, 18, position=2))

    assert district.evaluate(older) == []
    assert sorted(refused(district)) == sorted((push.id, "SUPERSEDED") for push in first)


def test_of_changes_that_come_again_together_the_newest_is_published_again(
    district: District,
) -> None:
    older, newer = scored(9, 17, position=1), scored(17, 18, position=2)
    district.evaluate(older, newer)

    assert {push.position for push in district.evaluate(newer, older)} == {2}


def test_what_was_delivered_twice_is_sent_again_at_once_if_it_had_no_answer(
    district: District,
) -> None:
    push = district.push_of(scored(9, 17, position=1))
    district.record([an_outcome(push, Verdict.DEFERRED, reason=REDELIVERED, at=NOW)])

    (again,) = district.due()

    assert (again.id, again.attempt) == (push.id, 2)


def test_what_was_delivered_twice_is_not_sent_again_if_it_had_an_answer(
    district: District,
) -> None:
    push = district.push_of(scored(9, 17, position=1))
    district.record([an_outcome(push, at=NOW)])
    district.record(
        [an_outcome(push, Verdict.DEFERRED, reason=REDELIVERED, at=NOW + timedelta(seconds=1))]
    )

    assert district.due() == []
    assert district.count(due) == 0


def test_what_was_delivered_twice_is_not_sent_again_after_a_newer_text(
    district: District,
) -> None:
    push = district.push_of(scored(9, 17, position=1))
    district.evaluate(scored(17, 18, position=2))
    district.record([an_outcome(push, Verdict.DEFERRED, reason=REDELIVERED, at=NOW)])

    assert district.due() == []
    assert (push.id, "SUPERSEDED") in refused(district)


def test_a_push_that_was_sent_twice_lets_the_newest_text_be_shown_again(
    district: District,
) -> None:
    """Somebody who was cut off and did not know it sent the old text after the new one."""
    old = district.push_of(scored(9, 17, position=1))
    new = of_mother(district, district.evaluate(scored(17, 18, position=2)))
    district.record([an_outcome(old, at=NOW), an_outcome(new, at=NOW)])

    district.record([an_outcome(old, at=NOW + timedelta(seconds=30))])
    district.clock.forward(timedelta(seconds=40))

    assert [(push.id, push.attempt) for push in district.due()] == [(new.id, 2)]


def test_an_old_text_that_was_given_up_and_sent_all_the_same_is_replaced_again(
    district: District,
) -> None:
    older = scored(9, 17, position=1)
    old = district.push_of(older)
    new = of_mother(district, district.evaluate(scored(17, 18, position=2)))
    district.record([an_outcome(new, at=NOW)])
    district.evaluate(older)  # comes again: it is given up for the newer one

    district.record([an_outcome(old, at=NOW + timedelta(seconds=30))])
    district.clock.forward(timedelta(seconds=40))

    assert [push.id for push in district.due()] == [new.id]


def test_a_message_that_came_twice_and_was_not_sent_lets_nothing_be_shown_again(
    district: District,
) -> None:
    old = district.push_of(scored(9, 17, position=1))
    new = of_mother(district, district.evaluate(scored(17, 18, position=2)))
    district.record([an_outcome(old, at=NOW), an_outcome(new, at=NOW)])

    later = NOW + timedelta(seconds=1)
    district.record([an_outcome(old, Verdict.DEFERRED, reason=REDELIVERED, at=later)])
    district.clock.forward(timedelta(seconds=40))

    assert district.due() == []


def test_the_same_outcome_twice_lets_nothing_be_shown_again(district: District) -> None:
    old = district.push_of(scored(9, 17, position=1))
    new = of_mother(district, district.evaluate(scored(17, 18, position=2)))
    district.record([an_outcome(old, at=NOW), an_outcome(new, at=NOW)])
    district.record([an_outcome(old, at=NOW), an_outcome(new, at=NOW)])
    district.clock.forward(timedelta(minutes=1))

    assert district.due() == []


def test_the_phones_of_others_are_left_alone(district: District) -> None:
    older = district.evaluate(scored(9, 17, position=1))
    newer = district.evaluate(scored(17, 18, position=2))
    district.record([an_outcome(push, at=NOW) for push in (*older, *newer)])
    twice = of_mother(district, older)

    district.record([an_outcome(twice, at=NOW + timedelta(seconds=30))])
    district.clock.forward(timedelta(seconds=40))

    assert district.devices()[FATHER] not in {push.device_id for push in district.due()}
