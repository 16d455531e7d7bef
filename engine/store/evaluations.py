"""What evaluate reads and writes in the engine's own database, in one transaction a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, delete, select

from engine.database import Database
from engine.ports import Clock, Verdicts
from engine.store import alarms, candidates, directory, district, ledger, tallies
from engine.store.bulk import append, one_of
from engine.store.lock_screen import LockScreen, LockScreens, Told, Unsent
from engine.store.tables import (
    changes,
    decisions,
    notifications,
    outcomes,
    parked_changes,
    pushes,
)
from engine.telemetry import Event, emit
from engine.wire.messages import Push
from rules.audience import Candidate, DeviceId
from rules.change import Change, StudentId
from rules.decide import CandidateKey, Decision
from rules.gates import Circumstances
from rules.identity import PushId, collapse_id, notification_id, push_id
from rules.outcomes import Verdict
from rules.timing import WORTH_SENDING_FOR

TEXT_TASK: Final = "wording"
PARKED_TASK: Final = "parked change"
DEVICE_TASK: Final = "device"


class SqlRecords:
    """Implements ports.Records."""

    def __init__(
        self,
        database: Database,
        timezone: str,
        screens: LockScreens,
        clock: Clock,
    ) -> None:
        self._database = database
        self._zone = ZoneInfo(timezone)
        self._screens = screens
        self._clock = clock

    @contextmanager
    def evaluation(self) -> Iterator[SqlEvaluation]:
        """See ports.Records.evaluation."""
        with self._database.write() as connection:
            now = self._clock()
            screen = self._screens.at(connection, now)
            yield SqlEvaluation(connection, screen, now, self._zone)


class SqlEvaluation:
    """Implements ports.Evaluation."""

    def __init__(
        self,
        connection: Connection,
        screen: LockScreen,
        now: datetime,
        zone: ZoneInfo,
    ) -> None:
        self._connection = connection
        self._screen = screen
        self._now = now
        self._zone = zone
        self._audiences = candidates.Audiences({}, {}, {})

    def unseen(self, found: Sequence[Change]) -> Sequence[Change]:
        """See ports.Evaluation.unseen."""
        seen = {
            row.id
            for row in self._connection.execute(
                select(changes.c.id).where(
                    one_of(self._connection, changes.c.id, {change.id for change in found})
                )
            )
        }
        return list({change.id: change for change in found if change.id not in seen}.values())

    def names(self, wanted: Collection[StudentId]) -> Mapping[StudentId, str]:
        """See ports.Evaluation.names."""
        return directory.names(self._connection, wanted) if wanted else {}

    def audiences(
        self, wanted: Collection[CandidateKey]
    ) -> Mapping[CandidateKey, Sequence[Candidate]]:
        """See ports.Evaluation.audiences."""
        if not wanted:
            return {}
        self._audiences = candidates.fetch(self._connection, wanted, self._now)
        return self._audiences.candidates

    def circumstances(self) -> Circumstances:
        """See ports.Evaluation.circumstances."""
        return district.circumstances(self._connection, self._now.astimezone(self._zone).date())

    def store(self, verdicts: Verdicts) -> Sequence[Push]:
        """See ports.Evaluation.store."""
        self._store_changes(verdicts)
        append(
            self._connection,
            decisions,
            [
                (
                    one.change, one.subject.student, one.person,
                    one.subject.kind, one.audience, one.reason,
                )
                for one in verdicts.decisions
            ],
        )  # fmt: skip
        self._report_faults(verdicts)
        return self._store_told([one for one in verdicts.decisions if one.text])

    def unanswered(self, found: Sequence[Change]) -> Sequence[Push]:
        """See ports.Evaluation.unanswered."""
        return ledger.unanswered(self._connection, {change.id for change in found}, self._screen)

    def _store_changes(self, verdicts: Verdicts) -> None:
        parked = {change.id for change, _ in verdicts.parked}
        kept = [change for change in verdicts.changes if change.id not in parked]
        append(
            self._connection,
            changes,
            [
                (
                    one.id, one.watch, one.op, one.key, one.before, one.after, one.at, self._now,
                )
                for one in kept
            ],
        )  # fmt: skip
        tallies.add(self._connection, {tallies.CHANGES: len(kept)}, self._now)
        self._unpark(verdicts.changes, kept)
        append(
            self._connection,
            parked_changes,
            [
                (one.id, msgspec.to_builtins(one), why.problem, why.remedy, self._now)
                for one, why in verdicts.parked
            ],
        )

    def _unpark(self, tried: Sequence[Change], kept: Sequence[Change]) -> None:
        """What was tried again is parked no more, or again for the reason of today."""
        if not self._connection.execute(select(parked_changes.c.id).limit(1)).first():
            return
        ids = [one.id for one in tried]
        unparked = self._connection.execute(
            delete(parked_changes)
            .where(one_of(self._connection, parked_changes.c.id, ids))
            .returning(parked_changes.c.id)
        )
        gone = {row.id for row in unparked}
        for watch in {one.watch for one in kept if one.id in gone}:
            alarms.resolve(self._connection, PARKED_TASK, watch)

    def _report_faults(self, verdicts: Verdicts) -> None:
        for one, why in verdicts.parked:
            emit(Event.CHANGE_PARKED, change=one.id, watch=one.watch)
            self._report(PARKED_TASK, one.watch, why.problem, why.remedy)
        faults = {one.fault.template: one.fault for one in verdicts.decisions if one.fault}
        for name, fault in faults.items():
            emit(Event.TEXT_REFUSED, reason=fault.reason)
            self._report(
                TEXT_TASK,
                name,
                f"The template {name} gives no text: {fault.problem}.",
                "Mend it in the file that [wording] templates_file names, and start the engine "
                "again; what was not sent is listed by `schoolbell why`.",
            )

    def _report(self, kind: str, subject: str, problem: str, remedy: str) -> None:
        alarms.report(self._connection, kind, subject, problem, remedy, self._now)

    def _store_told(self, told: Sequence[Decision]) -> list[Push]:
        notification_rows, push_rows, made = [], [], []
        unsent: dict[Unsent, list[tuple[PushId, DeviceId]]] = defaultdict(list)
        for one in told:
            if one.text is None:
                continue
            subject = one.subject
            name = notification_id(subject.change, subject.student, one.person)
            collapse = collapse_id(
                self._screen.district, subject.kind, subject.record, one.person,
                self._screen.allowed.salt,
            )  # fmt: skip
            expires_at = self._now + WORTH_SENDING_FOR[subject.kind]
            heard = Told(
                subject.kind, one.audience, self._audiences.languages[one.person],
                subject.student_name, one.text, collapse, self._now, expires_at,
            )  # fmt: skip
            notification_rows.append(
                (
                    name, subject.change, subject.student, one.person, subject.kind,
                    one.text.title, one.text.body, collapse, self._now,
                )
            )  # fmt: skip
            for device in one.devices:
                which = push_id(subject.change, device)
                push_rows.append((which, name, int(device), self._now, expires_at))
                push = self._screen.push(which, heard, self._audiences.devices[device])
                if isinstance(push, Push):
                    made.append(push)
                else:
                    unsent[push].append((which, device))
        append(self._connection, notifications, notification_rows)
        append(self._connection, pushes, push_rows)
        self._refuse_unreadable(unsent[Unsent.TOKEN_UNREADABLE])
        self._postpone(unsent[Unsent.KEY_UNKNOWN])
        return made

    def _postpone(self, found: Sequence[tuple[PushId, DeviceId]]) -> None:
        waiting = {push: self._audiences.devices[device] for push, device in found}
        ledger.postpone(self._connection, waiting, self._now)

    def _refuse_unreadable(self, found: Sequence[tuple[PushId, DeviceId]]) -> None:
        """Who wrote to the table of devices cannot have a text sent elsewhere, but is noticed."""
        refused = [
            (push, 1, Verdict.REFUSED, Unsent.TOKEN_UNREADABLE, "", self._now) for push, _ in found
        ]
        append(self._connection, outcomes, refused)
        for device in {device for _, device in found}:
            self._report(
                DEVICE_TASK,
                device,
                f"The address of device {device} is not what was encrypted for it.",
                "Find out who wrote to the table of devices; the device hears again once its app "
                "is opened.",
            )
