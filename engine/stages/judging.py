"""Judging: who may be told now, of what was decided or written before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from engine.ports import Audiences, NotificationKey
from engine.stages.composing import Composing
from rules.audience import Candidate, DeviceId
from rules.broadcasts import Message
from rules.change import Facts, Kind, SchoolId, StudentId
from rules.gates import (
    EVERY_SCHOOL,
    STANDING,
    Circumstances,
    broadcast_gates,
    nearest,
    refusal,
    standing_case,
)
from rules.notification import Notification
from rules.outcomes import DEVICE_GONE, EXPIRED, SIGNED_OUT, SUPERSEDED
from rules.reasons import Reason

# A push that is not sent for one of these reasons has its own words in the ledger.
_IN_THE_LEDGER: Final[Mapping[Reason, str]] = {
    Reason.STAY_LOGGED_IN_OFF: SIGNED_OUT,
    Reason.SESSION_ENDED: SIGNED_OUT,
    Reason.NO_DEVICE: DEVICE_GONE,
}


class Heard(NamedTuple):
    """A notification as its person may hear of it now; *reason* is why they may not."""

    one: Notification
    candidate: Candidate | None
    reason: Reason | None


def students_of(one: Notification) -> Sequence[StudentId]:
    """Because of whom a person hears."""
    return one.facts.students if isinstance(one.facts, Message) else (one.student,)


@dataclass(frozen=True, slots=True)
class Judging:
    """What holds now for the notifications of a batch."""

    audiences: Audiences
    candidates: Mapping[tuple[str, str, str], Candidate]
    schools: Mapping[StudentId, Sequence[SchoolId]]
    circumstances: Circumstances
    overtaken: Mapping[NotificationKey, str]
    doubted: Collection[StudentId]
    composing: Composing

    def is_doubted(self, one: Notification, now: datetime) -> bool:
        """Whether it may still be told, and nobody knows to whom."""
        ends = one.worth_sending_until <= now or (one.id, one.person) in self.overtaken
        return not ends and any(student in self.doubted for student in students_of(one))

    def is_superseded(self, one: Notification) -> bool:
        """A newer text of the same place was told to the same person."""
        return self.overtaken.get((one.id, one.person)) == SUPERSEDED

    def candidate(self, one: Notification) -> Candidate | None:
        """The person as they stand to the student now."""
        return self.candidates.get((one.student, one.person, one.facts.kind))

    def reason(self, one: Notification, candidate: Candidate) -> Reason | None:
        """Why the person may not be told now.

        It is asked at the record's own school. Where that is not kept, one of the student's that
        shows it is enough.
        """
        facts = one.facts if isinstance(one.facts, Facts) else None
        reasons = [
            refusal(
                standing_case(one.facts.kind, school, candidate, self.circumstances, facts),
                STANDING,
            )
            for school in self._schools_of(one)
        ]
        return None if None in reasons else reasons[0]

    def _schools_of(self, one: Notification) -> Sequence[SchoolId]:
        if isinstance(one.facts, Facts) and one.facts.school:
            return (one.facts.school,)
        return self.schools.get(one.student, (EVERY_SCHOOL,))

    def heard(self, one: Notification) -> Heard:
        """What the person may hear of it now.

        A broadcast tells of those students alone because of whom they may hear of it: one is
        enough.
        """
        if not isinstance(one.facts, Message):
            candidate = self.candidate(one)
            return Heard(one, candidate, self.reason(one, candidate) if candidate else None)
        gates = broadcast_gates(is_emergency=one.facts.is_emergency)
        may: dict[StudentId, Candidate] = {}
        reasons: list[Reason] = []
        for student in one.facts.students:
            candidate = self.candidates.get((student, one.person, Kind.BROADCAST))
            if candidate is None:
                reasons.append(Reason.NO_PORTAL_RIGHT)
                continue
            case = standing_case(Kind.BROADCAST, EVERY_SCHOOL, candidate, self.circumstances)
            if reason := refusal(case, gates):
                reasons.append(reason)
            else:
                may[student] = candidate
        if not may:
            return Heard(one, None, nearest(reasons) or Reason.NO_PORTAL_RIGHT)
        told = one._replace(student=next(iter(may)), facts=one.facts.about(may))
        return Heard(told, next(iter(may.values())), None)

    def refusal(self, heard: Heard, device: DeviceId, now: datetime) -> str:
        """Why a further try is not made; empty where it is."""
        one, candidate = heard.one, heard.candidate
        if overtaken := self.overtaken.get((one.id, one.person)):
            return overtaken
        if one.worth_sending_until <= now:
            return EXPIRED
        if candidate is None:
            reason = heard.reason or Reason.NO_PORTAL_RIGHT
            return _IN_THE_LEDGER.get(reason, reason)
        signed_in = [sign_in for sign_in in candidate.sign_ins if sign_in.device == device]
        if signed_in and not all(sign_in.device_live for sign_in in signed_in):
            return DEVICE_GONE
        if not any(sign_in.stays and not sign_in.ended for sign_in in signed_in):
            return SIGNED_OUT
        return _IN_THE_LEDGER.get(heard.reason, heard.reason) if heard.reason else ""
