"""The one question: given changes and the facts about them, what is decided for whom, and why?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from rules.audience import Audience, Candidate, DeviceId
from rules.broadcasts import Message
from rules.change import ChangeId, Facts, Kind, PersonId, StudentId, Subject
from rules.gates import (
    Case,
    Circumstances,
    Gate,
    Whereabouts,
    crossed,
    gates_for,
    refusal,
    still_known,
    whereabouts,
)
from rules.reasons import Reason
from rules.told import Memory, Shown
from rules.wording import Text, TextFault, Wording

_GUARDIANS_FIRST = {Audience.GUARDIAN: 0, Audience.STUDENT: 1}


class Decision(NamedTuple):
    """What became of one change for one person about one student, and why.

    With the reason TOLD there are *devices*; with a faulty text there is *fault*. The text itself
    is made when it is sent or read. *shown* is what the person knew of the record
    before, and does still where they are not told. *below* is the threshold of theirs because of
    which they are told, where they set any, and *at* is where the reason was found. It
    is told *apart* where one of the devices was told of another record of the same change: a change
    has one push for each device.
    """

    subject: Subject
    person: PersonId
    audience: Audience
    language: str
    reason: Reason
    devices: tuple[DeviceId, ...] = ()
    fault: TextFault | None = None
    shown: Shown | None = None
    below: Decimal | None = None
    apart: bool = False
    at: Whereabouts | None = None

    @property
    def change(self) -> ChangeId:
        """The change that was decided on."""
        return self.subject.change


CandidateKey = tuple[StudentId, Kind]
Already = dict[DeviceId, set[str]]
"""The records of a change of which each device was told."""


class HasFacts(Protocol):
    """A subject or a notification: something that a text can be made of."""

    @property
    def facts(self) -> Facts | Message:
        """What its text is made of."""
        ...


class Texts:
    """The texts of one batch, each made once: families of one student share it."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._made: dict[tuple[tuple[str, str], Audience, str], Text | TextFault] = {}

    def of(
        self, about: tuple[str, str], of: HasFacts, audience: Audience, language: str
    ) -> Text | TextFault:
        """What the facts *of* something say to *audience* in *language*, or why they say nothing.

        *about* names it: the change, or a notification without one, and the student.
        """
        key = (about, audience, language)
        text = self._made.get(key)
        if text is None:
            text = self._made[key] = self._wording.render(of.facts, audience, language)
        return text


def decide(
    subjects: Sequence[Subject],
    candidates: Mapping[CandidateKey, Sequence[Candidate]],
    circumstances: Circumstances,
    texts: Texts,
    memory: Memory,
) -> Iterator[Decision]:
    """Decide every subject for every candidate of its student, each pair once, in order.

    What was last told is asked of *memory* when a subject's turn comes: whoever carries out the
    decisions notes there, one by one, what is told.

    All subjects of one change must be in *subjects* together, each student once. *candidates* are
    looked up by the student and the kind, each person once. Guardians come before students, so
    that on a phone they share the text names the child. A device is told of one record of a change
    once.
    """
    told: dict[ChangeId, Already] = defaultdict(dict)
    for subject in subjects:
        already = told[subject.change]
        known, was = memory.of(subject.place), memory.was(subject.place)
        if was is not None:
            subject = subject._replace(was=was)
        ordered = sorted(
            candidates.get((subject.student, subject.kind), ()),
            key=lambda candidate: (_GUARDIANS_FIRST[candidate.audience], candidate.person),
        )
        gates: Sequence[Gate] = ()
        for candidate in ordered:
            case = Case(subject, candidate, circumstances, known.get(candidate.person))
            gates = gates or gates_for(case)
            yield _decide_alone(case, gates, already, texts)


def _decide_alone(case: Case, gates: Sequence[Gate], already: Already, texts: Texts) -> Decision:
    """A fault in what is stored about one person is that person's alone."""
    try:
        return _decide(case, gates, already, texts)
    except Exception:  # whatever somebody's odd setting does, others are told
        return Decision(
            case.subject, case.candidate.person, case.candidate.audience, case.candidate.language,
            Reason.UNDECIDABLE, shown=case.shown,
        )  # fmt: skip


def _decide(case: Case, gates: Sequence[Gate], already: Already, texts: Texts) -> Decision:
    reason = refusal(case, gates)
    if reason:
        return _silent(case, reason)
    subject, candidate = case.subject, case.candidate
    devices, is_apart = _devices(case), False
    if not already.keys().isdisjoint(devices):
        devices = tuple(one for one in devices if subject.record not in already.get(one, ()))
        is_apart = any(one in already for one in devices)
    if not devices:
        return _silent(case, Reason.DEVICE_ALREADY_TOLD)
    about = (subject.change, subject.student)
    text = texts.of(about, subject, candidate.audience, candidate.language)
    if isinstance(text, TextFault):
        return _silent(case, text.reason, text)
    for device in devices:
        already.setdefault(device, set()).add(subject.record)
    return Decision(
        subject, candidate.person, candidate.audience, candidate.language, Reason.TOLD, devices,
        None, case.shown, crossed(case), is_apart,
    )  # fmt: skip


def _devices(case: Case) -> tuple[DeviceId, ...]:
    """All that are live; for a correction those that showed what was wrong, if one still lives."""
    live = case.candidate.live_devices
    if not case.subject.withdrawn or case.shown is None:
        return live
    return tuple(device for device in live if device in case.shown.devices) or live


def _silent(case: Case, reason: Reason, fault: TextFault | None = None) -> Decision:
    candidate = case.candidate
    return Decision(
        case.subject, candidate.person, candidate.audience, candidate.language, reason, (), fault,
        still_known(case, reason), crossed(case) if reason.informs else None,
        at=whereabouts(reason, case),
    )  # fmt: skip
