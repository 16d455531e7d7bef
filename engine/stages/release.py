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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from engine.ports import (
    DIRECTORY_ALARM,
    LANES,
    UNREAD,
    Clock,
    Due,
    Ledger,
    Publisher,
    Releasing,
)
from engine.ports.broadcasts import Became
from engine.secrets.addresses import Device
from engine.stages.composing import Composer, Unsent
from engine.stages.judging import Judging, students_of
from engine.stages.publishing import publish_pushes
from engine.stages.reporting import (
    UNTIL_A_KEY_IS_LOOKED_FOR,
    report_faulty_texts,
    report_unsent,
)
from engine.wire.messages import Push
from rules.audience import DeviceId
from rules.broadcasts import BroadcastId
from rules.change import PersonId
from rules.identity import PushId, push_id
from rules.lanes import Lane
from rules.notification import Hold, Notification, Origin, State
from rules.outcomes import EXPIRED, SIGNED_OUT
from rules.reasons import Reason
from rules.wording import TextFault

AT_ONCE: Final[Mapping[Lane, int]] = {Lane.ORDINARY: 1_000, Lane.BROADCASTS: 100}
"""How many are told in one transaction: on SQLite ordinary news waits for one of broadcasts."""
UNTIL_RIGHTS_ARE_LOOKED_AT: Final = timedelta(minutes=1)


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
    _turns: list[tuple[Notification, Hold | None]] = field(default_factory=list)
    _hears_on: dict[tuple[str, DeviceId], PersonId] = field(default_factory=dict)
    _became: list[Became] = field(default_factory=list)

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
        self._take_turns(judging)
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
        self.releasing.save(self._changed)
        self.releasing.hears_on(self._hears_on)
        self.releasing.became(self._became)
        report_unsent(self.releasing, self._unsent, self.now)
        report_faulty_texts(self.releasing, self._faults.values(), self.now)

    def _judging(self, found: Sequence[Notification]) -> Judging:
        keyring = self.composer.keyring
        fits = cache(lambda: self.releasing.keyring_fits(keyring.ids))
        about = {(student, one.facts.kind) for one in found for student in students_of(one)}
        students = {student for student, _ in about}
        audiences = self.releasing.audiences(about, self.now)
        return Judging(
            audiences,
            {
                (key[0], candidate.person, key[1]): candidate
                for key, candidates in audiences.candidates.items()
                for candidate in candidates
            },
            self.releasing.schools(students),
            self.releasing.circumstances(self.now),
            self.releasing.overtaken(found),
            self.releasing.doubted(students, self.now),
            self.composer.at(self.releasing.privacy(), self.now, fits),
        )

    def _try_again(self, due: Due, one: Notification, judging: Judging) -> None:
        """Send one push again, or end it with the reason."""
        if judging.is_doubted(one, self.now):
            self._waiting.append(due)
            return
        device = due.device or DeviceId("")
        heard = judging.heard(one)
        one = heard.one
        ends = judging.refusal(heard, device, self.now)
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

    def _tell_held(self, due: Due, one: Notification | None, judging: Judging) -> None:
        """Tell what was held, or let it wait until somebody knows who may be told."""
        is_held = one is not None and one.state is State.HELD
        if one and is_held and judging.is_doubted(one, self.now):
            self._waiting.append(due)
            return
        self._done.append(due)
        if one and is_held:
            self._tell(one, judging)

    def _tell(self, one: Notification, judging: Judging) -> None:
        """Tell what was held, if it may be told now."""
        if one.origin is Origin.BROADCAST:
            self._turn(one, judging)
            return
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

    def _turn(self, one: Notification, judging: Judging) -> None:
        """Let somebody's turn of a broadcast come, if they may hear of it now.

        One that was corrected or stopped is for expand, which puts another in its place or none.
        """
        if (one.id, one.person) in judging.overtaken:
            return
        heard = judging.heard(one)
        candidate, told = heard.candidate, heard.one.moved(State.TOLD)._replace(at=self.now)
        if candidate is None:
            self._silent(one, heard.reason or Reason.NO_PORTAL_RIGHT)
            return
        about = (one.id, told.student)
        text = judging.composing.texts.of(about, told, one.audience, one.language)
        if isinstance(text, TextFault):
            self._silent(one, text.reason, text.problem)
        elif one.worth_sending_until <= self.now:
            self._changed.append(told._replace(devices=()))
            self._note(one, Reason.TOO_LATE)
        else:
            live = candidate.live_devices
            if one.hold is Hold.CORRECTION:
                live = tuple(device for device in live if device in one.devices)
            self._turns.append((told._replace(devices=live), one.hold))

    def _take_turns(self, judging: Judging) -> None:
        """Tell whose turn has come, on those of their devices that nobody else was told on."""
        devices = {device for told, _ in self._turns for device in told.devices}
        names = {told.record for told, _ in self._turns}
        heard_on = dict(self.releasing.heard_on(names, devices)) if self._turns else {}
        for told, hold in self._turns:
            mine = tuple(
                device
                for device in told.devices
                if heard_on.get((told.record, device), told.person) == told.person
            )
            for device in mine:
                if (told.record, device) not in heard_on:
                    heard_on[told.record, device] = told.person
                    self._hears_on[told.record, device] = told.person
            told = told._replace(devices=mine)
            self._changed.append(told)
            if hold is not Hold.CORRECTION:
                self._note(told, Reason.TOLD if mine else Reason.DEVICE_ALREADY_TOLD)
            for device in mine:
                self._send_first(told, judging.audiences.devices[device], judging)

    def _silent(self, one: Notification, reason: Reason, problem: str | None = None) -> None:
        self._changed.append(one.moved(State.WITHDRAWN))
        self._note(one, reason, problem)

    def _note(self, one: Notification, reason: Reason, problem: str | None = None) -> None:
        self._became.append(Became(BroadcastId(one.record), one.person, reason, problem))

    def _send_first(self, told: Notification, phone: Device, judging: Judging) -> None:
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


def _push(due: Due) -> PushId:
    return push_id(due.origin, due.device or DeviceId(""))
