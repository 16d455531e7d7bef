"""What came of the day: phones, reasons, numbers, and whether all of it is as written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text as Words
from sqlalchemy import select

from engine.runtime.clock import utc_now
from engine.services.status import look
from engine.show.status import show_status
from engine.show.why import show_answer, told
from engine.store import decisions as decisions_store
from engine.store.tables import decisions
from engine.trial.demo import cast
from engine.trial.demo.measure import Took, took
from engine.trial.demo.play import Explained, Findings
from engine.trial.demo.terminal import NO, YES, Terminal, counted, milliseconds
from engine.trial.demo.world import World
from rules.reasons import Reason

DRAWN: Final = (
    "Chidi's phone",
    "Emeka's phone",
    "Ngozi's iPhone",
    "Carmen's iPhone",
    "the García tablet",
    "the Patel iPhone",
)
DRAWN_IN_BRIEF: Final = DRAWN[:4]
GATE_BY_GATE: Final = Reason.RESTRICTED  # the answer that is shown in full


def report(world: World, terminal: Terminal, findings: Findings, *, brief: bool) -> None:
    terminal.heading("Some of the phones")
    on_screens = world.on_screens()
    drawn = DRAWN_IN_BRIEF if brief else DRAWN
    terminal.phones({name: on_screens.get(name, ()) for name in drawn})
    terminal.heading("Who did not hear of it, and why")
    show_reasons(terminal, findings.explained)
    terminal.heading("The day in numbers")
    _show_numbers(world, terminal, len(on_screens))
    judge(world, terminal, findings)


def show_reasons(terminal: Terminal, explained: Sequence[Explained]) -> None:
    terminal.table(
        ("", "who", "of what", "the answer for staff"),
        [
            (_mark(one), _who(one.asked.person, one.asked.student), one.asked.about, _says(one))
            for one in explained
        ],
    )
    for one in explained:
        if one.answer and one.asked.reason is GATE_BY_GATE:
            terminal.line(f"\n{one.asked.person} and {one.asked.about}, gate by gate:\n")
            show_answer(one.answer)


def _mark(one: Explained) -> Words:
    return YES if one.answer and one.answer.reason is Reason.TOLD else NO


def _who(person: str, student: str) -> str:
    for guardian in cast.GUARDIANS:
        if (guardian.name, guardian.student) == (person, student):
            return f"{person}, {guardian.relation}"
    return person


def _says(one: Explained) -> Words:
    found = one.answer.reason if one.answer else None
    if one.is_right and one.answer:
        return Words(". ".join((one.answer.reason.for_staff.rstrip("."), *told(one.answer))))
    return Words(f"{found or 'nothing'}, where it should be {one.asked.reason}", "red")


def _show_numbers(world: World, terminal: Terminal, phones: int) -> None:
    with world.district.database.read() as connection:
        changes = [row.change_id for row in connection.execute(select(decisions.c.change_id))]
        reasons = [
            person.reason
            for row in decisions_store.of_changes(connection, changes)
            for person in row.people
        ]
    captured, decided, told = len(set(changes)), len(reasons), reasons.count(Reason.TOLD)
    counts = world.phones.devices.counts()
    single = took(world, lambda phone: phone in cast.PHONES)
    rush = took(world, lambda phone: phone not in cast.PHONES)
    terminal.facts(
        (
            ("Changes committed in the SIS", f"{captured:,}"),
            ("Decisions", f"{told:,} to tell, {decided - told:,} not to"),
            ("Pushes", f"{counts.fcm:,} through FCM, {counts.apns:,} through APNs"),
            ("Texts on screens", f"{counts.shown:,} on {counted(phones, 'phone')}"),
            ("From commit to phone", _within(single)),
            (f"... of {rush.pushes:,} in two rushes", _within(rush)),
        )
    )


def _within(time: Took) -> str:
    return f"half within {milliseconds(time.half)}, all within {milliseconds(time.longest)}"


def judge(world: World, terminal: Terminal, findings: Findings) -> None:
    terminal.line()
    if findings.as_written:
        terminal.verdict(
            "Every phone shows what it should, each text once, and no more.", good=True
        )
        return
    for words in _faults(findings):
        terminal.verdict(words, good=False)
    terminal.differences(findings.differences)
    terminal.heading("How the engine stands")
    show_status(look(world.district, utc_now()), utc_now())


def _faults(findings: Findings) -> Iterator[str]:
    if findings.stuck:
        yield f"The day did not come to its end: {findings.stuck}."
    if findings.differences:
        yield "The phones do not show what they should."
    if findings.repeated:
        yield f"{counted(findings.repeated, 'text')} came to a phone more than once."
    if not all(one.is_right for one in findings.explained):
        yield "Somebody was told, or not told, for another reason than the right one: see above."
