"""Release: what is due, told now.

In:         further tries of pushes of one lane, and held notifications, whose moment has come.
Out:        pushes, published; what may not be told any more ends, with the reason.
Guarantee:  each is judged again, so nobody is told who may not be told now, and made anew, so a
            text shows what the district and the person allow now. While nobody knows who may be
            told of a student, it waits. A text older than one that was told of the same place is
            never published. Nothing that is held is lost.

While a transaction of release for ordinary news lasts, nothing is decided: a newer text is
published after what is published within it. Broadcasts are released beside that, for nothing is
decided on their places on a screen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from engine.ports import (
    DIRECTORY_ALARM,
    LANES,
    UNREAD,
    Audiences,
    Clock,
    Due,
    Ledger,
    NotificationKey,
    Publisher,
    Releasing,
)
from engine.secrets.addresses import Device
from engine.stages.composing import Composer, Composing, Unsent
from engine.stages.publishing import publish_pushes
from engine.stages.reporting import (
    UNTIL_A_KEY_IS_LOOKED_FOR,
    report_faulty_texts,
    report_unsent,
)
from engine.wire.messages import Push
from rules.audience import Candidate, DeviceId
from rules.change import Facts, SchoolId, StudentId
from rules.gates import EVERY_SCHOOL, STANDING, Circumstances, refusal, standing_case
from rules.identity import PushId, push_id
from rules.lanes import Lane
from rules.notification import Notification, State
from rules.outcomes import DEVICE_GONE, EXPIRED, SIGNED_OUT, SUPERSEDED
from rules.reasons import Reason
from rules.wording import TextFault

AT_ONCE: Final[Mapping[Lane, int]] = {Lane.ORDINARY: 1_000, Lane.BROADCASTS: 250}
"""How many are told in one transaction: on SQLite ordinary news waits for one of broadcasts."""
UNTIL_RIGHTS_ARE_LOOKED_AT: Final = timedelta(minutes=1)

# A push that is not sent for one of these reasons has its own words in the ledger.
_IN_THE_LEDGER: Final[Mapping[Reason, str]] = {
    Reason.STAY_LOGGED_IN_OFF: SIGNED_OUT,
    Reason.SESSION_ENDED: SIGNED_OUT,
    Reason.NO_DEVICE: DEVICE_GONE,
}


@dataclass(frozen=True, slots=True)
class Release:
    """Tells what of one lane is due."""

    ledger: Ledger
    composer: Composer
    publisher: Publisher
    clock: Clock
    lane: Lane = Lane.ORDINARY

    def __call__(self) -> int:
        """Publish a batch of what is due, in order; return how many tries were looked at."""
        now = self.clock()
        with self.ledger.releasing(self.lane) as releasing:
            dues = releasing.due(now, AT_ONCE[self.lane])
            if dues:
                batch = _Batch(releasing, self.composer, now, self.lane)
                publish_pushes(self.publisher, batch.made(dues), LANES[self.lane])
                batch.store()
            return len(dues)


@dataclass(slots=True)
class _Batch:
    """What one transaction of release finds, publishes and ends."""

    releasing: Releasing
    composer: Composer
    now: datetime
    lane: Lane
    _pushes: list[Push] = field(default_factory=list)
    _going: list[Due] = field(default_factory=list)
    _done: list[Due] = field(default_factory=list)
    _refused: list[tuple[PushId, int, str]] = field(default_factory=list)
    _postponed: list[PushId] = field(default_factory=list)
    _waiting: list[Due] = field(default_factory=list)
    _changed: list[Notification] = field(default_factory=list)
    _unsent: dict[Unsent, list[Device]] = field(default_factory=lambda: defaultdict(list))
    _faults: dict[str, TextFault] = field(default_factory=dict)

    def made(self, dues: Sequence[Due]) -> Sequence[Push]:
        """The pushes to publish, in order for each record."""
        again = {_push(one): one for one in dues if one.device is not None}
        told = self.releasing.told(again.keys())
        held = self.releasing.held({one.origin for one in dues if one.device is None})
        judging = self._judging([*told.values(), *held.values()])
        answered = self.releasing.answered(again.keys())
        for which, one in again.items():
            if which not in told or (which in answered and not one.again):
                self._done.append(one)
            else:
                self._try_again(one, told[which], judging)
        for one in dues:
            if one.device is None:
                self._tell_held(one, held.get(one.origin), judging)
        return sorted(self._pushes, key=lambda push: push.position)

    def store(self) -> None:
        """Remember what is on its way, and what has ended."""
        self.releasing.published(self._going, self.now)
        self.releasing.forget(self._done)
        self.releasing.refuse(self._refused, self.now)
        self.releasing.postpone(self._postponed, self.now + UNTIL_A_KEY_IS_LOOKED_FOR, self.lane)
        self.releasing.wait(self._waiting, self.now + UNTIL_RIGHTS_ARE_LOOKED_AT)
        if self._waiting:
            self.releasing.report(
                DIRECTORY_ALARM, UNREAD,
                "Pushes that are to be tried again wait: who may be told could not be read.",
                "See the alarm about the query of the directory. They go by themselves when all of"
                " it was read.",
                self.now,
            )  # fmt: skip
        for one in self._changed:
            self.releasing.save(one)
        report_unsent(self.releasing, self._unsent, self.now)
        report_faulty_texts(self.releasing, self._faults.values(), self.now)

    def _judging(self, found: Sequence[Notification]) -> _Judging:
        keyring = self.composer.keyring
        fits = cache(lambda: self.releasing.keyring_fits(keyring.ids))
        audiences = self.releasing.audiences({(one.student, one.facts.kind) for one in found},
                                             self.now)  # fmt: skip
        return _Judging(
            audiences,
            {
                (key[0], candidate.person, key[1]): candidate
                for key, candidates in audiences.candidates.items()
                for candidate in candidates
            },
            self.releasing.schools({one.student for one in found}),
            self.releasing.circumstances(self.now),
            self.releasing.overtaken(found),
            self.releasing.doubted({one.student for one in found}, self.now),
            self.composer.at(self.releasing.privacy(), self.now, fits),
        )

    def _try_again(self, due: Due, one: Notification, judging: _Judging) -> None:
        """Send one push again, or end it with the reason."""
        if judging.is_doubted(one, self.now):
            self._waiting.append(due)
            return
        device = due.device or DeviceId("")
        ends = judging.refusal(one, device, self.now)
        phone = judging.audiences.devices.get(device)
        if ends or phone is None:
            self._end(due, ends or SIGNED_OUT)
            return
        if judging.composing.offered_until(one, phone) <= self.now:
            self._end(due, EXPIRED)
            return
        push = judging.composing.push(due.origin, one, phone, due.attempt)
        match push:
            case Push():
                self._going.append(due)
                self._pushes.append(push)
            case Unsent.KEY_UNKNOWN:
                self._postponed.append(_push(due))
                self._unsent[push].append(phone)
            case Unsent():
                self._unsent[push].append(phone)
                self._end(due, push)
            case TextFault():
                self._faults[push.template] = push
                self._end(due, push.reason)

    def _tell_held(self, due: Due, one: Notification | None, judging: _Judging) -> None:
        """Tell what was held, or let it wait until somebody knows who may be told."""
        is_held = one is not None and one.state is State.HELD
        if one and is_held and judging.is_doubted(one, self.now):
            self._waiting.append(due)
            return
        self._done.append(due)
        if one and is_held:
            self._tell(one, judging)

    def _tell(self, one: Notification, judging: _Judging) -> None:
        """Tell what was held, if it may be told now."""
        candidate = judging.candidate(one)
        if judging.is_superseded(one):
            self._changed.append(one.moved(State.REPLACED))
        elif one.worth_sending_until <= self.now:
            self._changed.append(one.moved(State.EXPIRED))
        elif (
            candidate is None
            or (one.id, one.person) in judging.overtaken
            or judging.reason(one, candidate)
        ):
            self._changed.append(one.moved(State.WITHDRAWN))
        else:
            told = one.moved(State.TOLD)._replace(at=self.now, devices=candidate.live_devices)
            self._changed.append(told)
            for device in told.devices:
                self._send_first(told, judging.audiences.devices[device], judging)

    def _send_first(self, told: Notification, phone: Device, judging: _Judging) -> None:
        push = judging.composing.push(told.id, told, phone)
        match push:
            case Push():
                self._pushes.append(push)
            case Unsent.KEY_UNKNOWN:
                self._postponed.append(push_id(told.id, phone.id))
                self._unsent[push].append(phone)
            case Unsent():
                self._unsent[push].append(phone)
                self._refused.append((push_id(told.id, phone.id), 1, push))
            case TextFault():
                self._faults[push.template] = push
                self._refused.append((push_id(told.id, phone.id), 1, push.reason))

    def _end(self, due: Due, reason: str) -> None:
        self._done.append(due)
        self._refused.append((_push(due), due.attempt, reason))


@dataclass(frozen=True, slots=True)
class _Judging:
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
        return not ends and one.student in self.doubted

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
        reasons = [
            refusal(standing_case(one.facts.kind, school, candidate, self.circumstances), STANDING)
            for school in self._schools_of(one)
        ]
        return None if None in reasons else reasons[0]

    def _schools_of(self, one: Notification) -> Sequence[SchoolId]:
        if isinstance(one.facts, Facts) and one.facts.school:
            return (one.facts.school,)
        return self.schools.get(one.student, (EVERY_SCHOOL,))

    def refusal(self, one: Notification, device: DeviceId, now: datetime) -> str:
        """Why a further try is not made; empty where it is."""
        candidate, overtaken = self.candidate(one), self.overtaken.get((one.id, one.person))
        if overtaken:
            return overtaken
        if one.worth_sending_until <= now:
            return EXPIRED
        if candidate is None:
            return Reason.NO_PORTAL_RIGHT
        signed_in = [sign_in for sign_in in candidate.sign_ins if sign_in.device == device]
        if signed_in and not all(sign_in.device_live for sign_in in signed_in):
            return DEVICE_GONE
        if not any(sign_in.stays and not sign_in.ended for sign_in in signed_in):
            return SIGNED_OUT
        reason = self.reason(one, candidate)
        return _IN_THE_LEDGER.get(reason, reason) if reason else ""


def _push(due: Due) -> PushId:
    return push_id(due.origin, due.device or DeviceId(""))
