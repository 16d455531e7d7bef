"""Reporting: the alarms that several stages raise, in the words of whoever must mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from engine.secrets.addresses import Device
from engine.secrets.keyring import key_of
from engine.stages.composing import Unsent
from engine.telemetry import Event, emit
from rules.change import PersonId
from rules.wording import TextFault

TEXT_ALARM: Final = "wording"
DEVICE_ALARM: Final = "device"
KEY_ALARM: Final = "keyring"
PERSON_ALARM: Final = "person"
UNTIL_A_KEY_IS_LOOKED_FOR: Final = timedelta(minutes=5)


class Reports(Protocol):
    """A transaction that keeps alarms."""

    def report(self, kind: str, subject: str, problem: str, remedy: str, now: datetime) -> None:
        """Raise an alarm for an operator, or count one up that is there."""
        ...


def report_faulty_texts(to: Reports, faults: Iterable[TextFault], now: datetime) -> None:
    """Templates that give no text."""
    for fault in faults:
        emit(Event.TEXT_REFUSED, reason=fault.reason)
        to.report(
            TEXT_ALARM, fault.template,
            f"The template {fault.template} gives no text: {fault.problem}.",
            "Mend it in the file that [wording] templates_file names, and start the engine "
            "again; what was not sent is listed by `schoolbell why`.",
            now,
        )  # fmt: skip


def report_undecidable(to: Reports, people: Iterable[PersonId], now: datetime) -> None:
    """People of whom something is stored that cannot be understood."""
    for person in people:
        to.report(
            PERSON_ALARM, person,
            f"Something that is stored about person {person} cannot be understood, so they are "
            "told nothing.",
            "Look at their thresholds and rights with `schoolbell why`; let the person choose "
            "again, or run `schoolbell sync`.",
            now,
        )  # fmt: skip


def report_unsent(to: Reports, unsent: Mapping[Unsent, Sequence[Device]], now: datetime) -> None:
    """Devices whose addresses cannot be read: tampered with, or sealed with a key that we lack."""
    for device in sorted({one.id for one in unsent.get(Unsent.TOKEN_UNREADABLE, ())}):
        to.report(
            DEVICE_ALARM, device,
            f"The address of device {device} is not what was encrypted for it.",
            "Find out who wrote to the table of devices; the device hears again once its app "
            "is opened.",
            now,
        )  # fmt: skip
    for key in sorted({key_of(one.token_sealed) for one in unsent.get(Unsent.KEY_UNKNOWN, ())}):
        to.report(
            KEY_ALARM, key,
            f"Some devices are encrypted with the key {key}, which the keyring lacks.",
            "A machine with an older keyring wrote them: copy the newest file there, and put the "
            "key back into it from a copy of before; their pushes wait for it. Where no copy holds "
            "it, `schoolbell keys lost` retires these devices until their app is opened again.",
            now,
        )  # fmt: skip
