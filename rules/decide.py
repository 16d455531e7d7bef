"""The one question: given changes and the facts about them, what is decided for whom, and why?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rules.audience import Audience, Candidate, DeviceId
from rules.change import ChangeId, Kind, PersonId, StudentId, Subject
from rules.gates import Case, Circumstances, refusal
from rules.reasons import Reason
from rules.wording import Text, TextFault, Wording

_GUARDIANS_FIRST = {Audience.GUARDIAN: 0, Audience.STUDENT: 1}


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one change for one person about one student, and why.

    With the reason TOLD there are *text* and *devices*; with a faulty text there is *fault*.
    """

    subject: Subject
    person: PersonId
    audience: Audience
    reason: Reason
    text: Text | None = None
    devices: tuple[DeviceId, ...] = ()
    fault: TextFault | None = None

    @property
    def change(self) -> ChangeId:
        """The change that was decided on."""
        return self.subject.change


CandidateKey = tuple[StudentId, Kind]


@dataclass(slots=True)
class _Told:
    """What a change has already caused: a device is told of one change once."""

    devices: set[DeviceId] = field(default_factory=set)
    texts: dict[tuple[StudentId, Audience, str], Text | TextFault] = field(default_factory=dict)


def evaluate(
    subjects: Sequence[Subject],
    candidates: Mapping[CandidateKey, Sequence[Candidate]],
    circumstances: Circumstances,
    wording: Wording,
) -> Iterator[Decision]:
    """Decide every subject for every candidate of its student, each pair once, in order.

    All subjects of one change must be in *subjects* together, each student once. *candidates* are
    looked up by the student and the kind, each person once. Guardians come before students, so
    that on a phone they share the text names the child.
    """
    told: dict[ChangeId, _Told] = {}
    for subject in subjects:
        already = told.setdefault(subject.change, _Told())
        ordered = sorted(
            candidates.get((subject.student, subject.kind), ()),
            key=lambda candidate: (_GUARDIANS_FIRST[candidate.audience], candidate.person),
        )
        for candidate in ordered:
            yield _decide(Case(subject, candidate, circumstances), already, wording)


def _decide(case: Case, already: _Told, wording: Wording) -> Decision:
    reason = refusal(case)
    if reason:
        return _silent(case, reason)
    devices = tuple(
        device for device in case.candidate.live_devices if device not in already.devices
    )
    if not devices:
        return _silent(case, Reason.DEVICE_ALREADY_TOLD)
    text = _text(case, already, wording)
    if isinstance(text, TextFault):
        return _silent(case, text.reason, text)
    already.devices.update(devices)
    return Decision(
        case.subject, case.candidate.person, case.candidate.audience, Reason.TOLD, text, devices
    )


def _silent(case: Case, reason: Reason, fault: TextFault | None = None) -> Decision:
    candidate = case.candidate
    return Decision(case.subject, candidate.person, candidate.audience, reason, fault=fault)


def _text(case: Case, already: _Told, wording: Wording) -> Text | TextFault:
    """Render once for each audience and language of a subject; siblings' families share it."""
    candidate = case.candidate
    key = (case.subject.student, candidate.audience, candidate.language)
    if key not in already.texts:
        already.texts[key] = wording.render(case.subject, candidate.audience, candidate.language)
    return already.texts[key]
