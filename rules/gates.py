"""The gates: what must be so before a person is told, in the order in which it is asked.

A gate can only silence, and always says why. Everything it needs is in the case; it asks no
clock and no table. The first gate that says no is the reason of the decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from rules.audience import Audience, Candidate
from rules.change import CalendarId, ChangeId, Facts, Kind, SchoolId, Subject, TermId
from rules.display_options import ALL_TERMS, DisplayOptions, Where, day_of
from rules.reasons import Reason
from rules.thresholds import fell_below, is_over
from rules.told import Shown

PRESENT: Final = "present"


EVERY_SCHOOL: Final = SchoolId("")

ActiveCalendars = Mapping[CalendarId, Mapping[SchoolId, bool]]
"""Each calendar that is active now at some school, and whether at those that it names."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds for the whole district now.

    *options* are the display options; *today* is the district's date.
    """

    today: date
    enabled: bool = True
    food_service: bool = True
    active_calendars: ActiveCalendars = field(default_factory=dict)
    options: DisplayOptions = field(default_factory=DisplayOptions)


class Case(NamedTuple):
    """One subject, one candidate, and the circumstances: all that a gate may look at.

    *shown* is what the candidate was last told of the subject's record.
    """

    subject: Subject
    candidate: Candidate
    circumstances: Circumstances
    shown: Shown | None = None


def district_enabled(case: Case) -> Reason | None:
    """The district has push notifications switched on."""
    return None if case.circumstances.enabled else Reason.DISTRICT_OFF


def kind_supported(case: Case) -> Reason | None:
    """The district offers this kind; a meal balance needs food service."""
    if case.subject.kind is Kind.MEAL_BALANCE and not case.circumstances.food_service:
        return Reason.KIND_NOT_SUPPORTED
    return None


def newest_of_its_record(case: Case) -> Reason | None:
    """No later change of the same record was decided before this one."""
    return Reason.SUPERSEDED if case.subject.superseded else None


def something_to_tell(case: Case) -> Reason | None:
    """Families would see something else than before; being present is not news by itself."""
    before, after = case.subject.before, case.subject.after
    if case.subject.withdrawn:
        return _something_to_withdraw(case)
    if after is None or (before is not None and before.text == after.text):
        return Reason.NOTHING_TO_TELL
    was = before.text if before else case.shown and case.shown.facts.after
    if case.subject.kind is Kind.ATTENDANCE and after.text == PRESENT and was is None:
        return Reason.NOTHING_TO_TELL
    return None


def _something_to_withdraw(case: Case) -> Reason | None:
    if case.shown is None or case.shown.waits:
        return Reason.NEVER_TOLD
    told = case.shown.facts
    is_harmless = told.kind is Kind.ATTENDANCE and told.after == PRESENT
    return Reason.NOTHING_TO_TELL if told.after is None or is_harmless else None


def released(case: Case) -> Reason | None:
    """The SIS shows this record to families, now."""
    subject = case.subject
    if not subject.released:
        return Reason.NOT_RELEASED if subject.release_is_watched else Reason.HIDDEN
    if subject.closed:
        return Reason.CLOSED
    return Reason.OPENS_LATER if subject.opens else None


def year_active(case: Case) -> Reason | None:
    """The record's calendar is active now, at its school where the calendar says so for each.

    Of what is gone, nobody knows the calendar any more.
    """
    if case.subject.withdrawn:
        return None
    schools = case.circumstances.active_calendars.get(case.subject.calendar)
    if schools is None:
        return Reason.YEAR_NOT_ACTIVE
    everywhere = schools.get(EVERY_SCHOOL, True)
    return None if schools.get(case.subject.school, everywhere) else Reason.YEAR_NOT_ACTIVE


def display_option_on(case: Case) -> Reason | None:
    """The record's school shows this tool to this audience, in the term of the record."""
    return None if _hiding(case) is None else Reason.DISPLAY_OPTION_OFF


def _hiding(case: Case) -> TermId | None:
    """The term for which the tool is hidden, empty where it is for all; None where it is shown."""
    subject, options = case.subject, case.circumstances.options
    audience = case.candidate.audience
    if subject.school not in options.of_terms:
        return ALL_TERMS if (subject.school, subject.kind, audience) in options.hidden else None
    day = day_of(subject.kind, subject.details, case.circumstances.today)
    where = Where(subject.school, subject.calendar, subject.term, day)
    return options.hiding(where, subject.kind, audience)


def student_enrolled(case: Case) -> Reason | None:
    """The student is enrolled now, and has not left the record's school.

    A school that lists nothing of the student may teach those of another: that alone is no reason.
    """
    candidate = case.candidate
    stays = candidate.enrolled and case.subject.school not in candidate.left
    return None if stays else Reason.NOT_ENROLLED


def right_effective(case: Case) -> Reason | None:
    """The guardian may hear this kind of this student today; students may always see theirs."""
    right = case.candidate.right
    if case.candidate.audience is Audience.STUDENT:
        return None
    if right is None or not right.portal:
        return Reason.NO_PORTAL_RIGHT
    if right.restricted:
        return Reason.RESTRICTED
    if not right.holds_on(case.circumstances.today):
        return Reason.RIGHT_NOT_IN_FORCE
    return Reason.KIND_WITHHELD if case.subject.kind in right.withheld else None


def stays_logged_in(case: Case) -> Reason | None:
    """The person has an account, marked Stay Logged In, and that session has not ended."""
    if not case.candidate.has_account:
        return Reason.NO_ACCOUNT
    ended = [sign_in.ended for sign_in in case.candidate.sign_ins if sign_in.stays]
    if not ended:
        return Reason.STAY_LOGGED_IN_OFF
    return Reason.SESSION_ENDED if all(ended) else None


def subscribed(case: Case) -> Reason | None:
    """The person switched this kind on for this student."""
    subscription = case.candidate.subscription
    return None if subscription and subscription.enabled else Reason.NOT_SUBSCRIBED


def broadcasts_on(case: Case) -> Reason | None:
    """The person has not switched off what the school writes about this student."""
    subscription = case.candidate.subscription
    return Reason.BROADCASTS_OFF if subscription and not subscription.enabled else None


def not_told_yet(case: Case) -> Reason | None:
    """The last thing that the person was told of this record was not the same."""
    return Reason.ALREADY_TOLD if case.shown and case.shown.says(case.subject) else None


def threshold_crossed(case: Case) -> Reason | None:
    """The value fell below a threshold of the person with this change, or none is set."""
    subscription, after = case.candidate.subscription, case.subject.after
    if subscription is None or not subscription.thresholds or case.subject.withdrawn:
        return None
    if after is None or after.number is None:
        return Reason.NO_NUMBER
    return Reason.THRESHOLD_NOT_CROSSED if crossed(case) is None else None


def crossed(case: Case) -> Decimal | None:
    """The lowest threshold of the person below which the value fell with this change, if any."""
    subscription, after = case.candidate.subscription, case.subject.after
    if subscription is None or not subscription.thresholds:
        return None
    if after is None or after.number is None:
        return None
    before = case.subject.before or (case.shown and case.shown.facts)
    was = before.number if before else None
    below = [limit for limit in subscription.thresholds if fell_below(limit, was, after.number)]
    return min(below, default=None)


def still_known(case: Case, reason: Reason) -> Shown | None:
    """What a person who stays silent for *reason* was told and may take to hold still.

    Who asked to hear of low values only takes the last one for over once it is not low any more,
    or is back at a threshold that it had fallen below.
    """
    subscription, after = case.candidate.subscription, case.subject.after
    if (
        reason is Reason.THRESHOLD_NOT_CROSSED
        and subscription is not None
        and after is not None
        and after.number is not None
        and is_over(subscription.thresholds, _told_number(case), after.number)
    ):
        return None
    return case.shown


def _told_number(case: Case) -> Decimal | None:
    return case.shown.facts.number if case.shown else None


def device_live(case: Case) -> Reason | None:
    """At least one device of the person takes pushes."""
    return None if case.candidate.live_devices else Reason.NO_DEVICE


def worth_a_push(case: Case) -> Reason | None:
    """It was committed lately enough: after an outage nobody's phone rings for last week."""
    return Reason.TOO_LATE if case.subject.late else None


class Whereabouts(NamedTuple):
    """The record's school, and its calendar or a term where that is what was looked at."""

    school: SchoolId
    calendar: CalendarId | None = None
    term: TermId | None = None


def whereabouts(reason: Reason, case: Case) -> Whereabouts | None:
    """Where a reason was found; None for one that has nothing to do with a school."""
    subject = case.subject
    match reason:
        case Reason.YEAR_NOT_ACTIVE:
            return Whereabouts(subject.school, subject.calendar)
        case Reason.DISPLAY_OPTION_OFF:
            return Whereabouts(subject.school, term=_hiding(case) or None)
        case Reason.NOT_ENROLLED:
            return Whereabouts(subject.school)
        case _:
            return None


class Gate(NamedTuple):
    """A gate, the words under which `why` shows it, and the reasons that it may give.

    *of_change* gates ask about the change itself; the others stand whether one comes or not.
    *alike* gates look at no candidate: they say the same to everybody.
    """

    title: str
    ask: Callable[[Case], Reason | None]
    says: tuple[Reason, ...]
    of_change: bool = False
    alike: bool = False


GATES: Final[tuple[Gate, ...]] = (
    Gate("district enabled", district_enabled, (Reason.DISTRICT_OFF,), alike=True),
    Gate("kind supported", kind_supported, (Reason.KIND_NOT_SUPPORTED,), alike=True),
    Gate(
        "newest of its record",
        newest_of_its_record,
        (Reason.SUPERSEDED,),
        of_change=True,
        alike=True,
    ),
    Gate(
        "something to tell",
        something_to_tell,
        (Reason.NOTHING_TO_TELL, Reason.NEVER_TOLD),
        of_change=True,
    ),
    Gate(
        "released to families",
        released,
        (Reason.NOT_RELEASED, Reason.HIDDEN, Reason.OPENS_LATER, Reason.CLOSED),
        of_change=True,
        alike=True,
    ),
    Gate("active year", year_active, (Reason.YEAR_NOT_ACTIVE,), of_change=True, alike=True),
    Gate("display option", display_option_on, (Reason.DISPLAY_OPTION_OFF,)),
    Gate("student enrolled", student_enrolled, (Reason.NOT_ENROLLED,)),
    Gate(
        "right to the student",
        right_effective,
        (
            Reason.NO_PORTAL_RIGHT,
            Reason.RESTRICTED,
            Reason.RIGHT_NOT_IN_FORCE,
            Reason.KIND_WITHHELD,
        ),
    ),
    Gate(
        "stay logged in",
        stays_logged_in,
        (Reason.NO_ACCOUNT, Reason.STAY_LOGGED_IN_OFF, Reason.SESSION_ENDED),
    ),
    Gate("subscribed", subscribed, (Reason.NOT_SUBSCRIBED,)),
    Gate("text not told yet", not_told_yet, (Reason.ALREADY_TOLD,), of_change=True),
    Gate(
        "threshold crossed",
        threshold_crossed,
        (Reason.THRESHOLD_NOT_CROSSED, Reason.NO_NUMBER),
        of_change=True,
    ),
    Gate("live device", device_live, (Reason.NO_DEVICE,)),
    Gate("worth a push", worth_a_push, (Reason.TOO_LATE,), of_change=True, alike=True),
)


BROADCAST_GATES: Final[tuple[Gate, ...]] = (
    Gate("district enabled", district_enabled, (Reason.DISTRICT_OFF,), alike=True),
    Gate(
        "right to the student",
        right_effective,
        (Reason.NO_PORTAL_RIGHT, Reason.RESTRICTED, Reason.RIGHT_NOT_IN_FORCE),
    ),
    Gate(
        "stay logged in",
        stays_logged_in,
        (Reason.NO_ACCOUNT, Reason.STAY_LOGGED_IN_OFF, Reason.SESSION_ENDED),
    ),
    Gate("live device", device_live, (Reason.NO_DEVICE,)),
    Gate("messages not switched off", broadcasts_on, (Reason.BROADCASTS_OFF,)),
)
"""What is asked about each person and each student of a broadcast. When is asked apart from
whether: see `rules.plan.moment_of_broadcast`, where quiet hours will be."""

EMERGENCY_GATES: Final = tuple(gate for gate in BROADCAST_GATES if gate.ask is not broadcasts_on)
"""What is asked of one that the district marks as an emergency: nobody can switch it off."""


def broadcast_gates(*, is_emergency: bool) -> Sequence[Gate]:
    """The gates of a broadcast."""
    return EMERGENCY_GATES if is_emergency else BROADCAST_GATES


_ASKED_IN_TURN: Final = tuple(reason for gate in BROADCAST_GATES for reason in gate.says)


def nearest(reasons: Iterable[Reason]) -> Reason | None:
    """Why a person hears nothing of a broadcast, of the *reasons* because of each student.

    That of the gate which is asked last: it is what is left to be changed.
    """
    return max(reasons, key=_ASKED_IN_TURN.index, default=None)


def refusal(case: Case, gates: Sequence[Gate] = GATES) -> Reason | None:
    """The first reason to stay silent, or None when the person may be told."""
    for gate in gates:
        if reason := gate.ask(case):
            return reason
    return None


ALIKE: Final = tuple(gate for gate in GATES if gate.alike)
_PERSONAL: Final = tuple(gate for gate in GATES if not gate.alike)


def gates_for(case: Case) -> Sequence[Gate]:
    """The gates to ask about each candidate of a subject, of whom *case* is about one.

    Those that say the same to everybody need not be asked again where they let it pass.
    """
    return GATES if refusal(case, ALIKE) else _PERSONAL


STANDING: Final = tuple(gate for gate in GATES if not gate.of_change)
"""The gates that stand whether a change comes or not: what is told later is asked them again."""


def standing_case(
    kind: Kind,
    school: SchoolId,
    candidate: Candidate,
    circumstances: Circumstances,
    facts: Facts | None = None,
) -> Case:
    """A case for the gates of STANDING, which ask nothing of a change.

    What is known of its record are *facts*; without them it is one of today.
    """
    subject = Subject(
        ChangeId(""), kind, "", candidate.student, "", school, CalendarId(""), True, None, None,
        facts.details if facts else {}, term=facts.term if facts else ALL_TERMS,
    )  # fmt: skip
    return Case(subject, candidate, circumstances)
