"""The plan: who is to be told is told at once, and nobody else."""

import pytest

from rules.audience import Audience
from rules.change import PersonId
from rules.decide import Decision
from rules.plan import AT_ONCE, NO_PREFERENCES, StaySilent, plan
from rules.reasons import Reason
from tests.builders import NOW, a_subject


def decided(reason: Reason) -> Decision:
    return Decision(a_subject(), PersonId("34"), Audience.GUARDIAN, "en", reason)


def test_who_is_to_be_told_is_told_at_once() -> None:
    assert plan(decided(Reason.TOLD), (), NO_PREFERENCES, NOW) is AT_ONCE


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.TOLD])
def test_who_is_not_to_be_told_hears_nothing_for_the_same_reason(reason: Reason) -> None:
    assert plan(decided(reason), (), NO_PREFERENCES, NOW) == StaySilent(reason)
