"""The answers to "why did this person (not) hear of it?", gate by gate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

import click

from engine.services.broadcasts.received import Received
from engine.services.why import BY_CHANGE, NO, NOT_ASKED, YES, Answer, Try, Waited
from rules.notification import State
from rules.reasons import Reason
from rules.thresholds import written

_WAITS: Final = (
    "Whatever changes about this student now waits: the rights to them, or those of people around"
    " them, could not be read, so nobody knows who may be told. It goes on by itself when the"
    " directory was read; `schoolbell status` says what is wrong."
)
_MARKS: Final = {
    YES: ("✓", "green"),
    NO: ("✗", "red"),
    NOT_ASKED: ("·", "bright_black"),
    BY_CHANGE: ("?", "yellow"),
}


def show_answers(
    decided: Sequence[Answer], standing: Sequence[Answer], *, waits: bool = False
) -> None:
    """What was decided, and how things stand now; whether what comes now *waits*."""
    for one in decided:
        show_answer(one)
        click.echo()
    if not decided:
        click.echo("No change about this student was ever decided on for this person.\n")
    if not standing:
        click.echo("The directory knows no relation of this person to this student any more.")
        return
    if waits:
        click.echo(f"{_mark(NO)} {_WAITS}\n")
    click.echo("If something changed now:" if not waits else "As the directory stands here:")
    several = len({one.school for one in standing}) > 1
    for one in standing:
        told = one.reason is Reason.TOLD
        words = _would_be_told(one) if told else f"{one.reason.for_staff}{_in_term(one)}"
        where = f" at school {one.school}" if several else ""
        click.echo(f"  {_mark(YES if told else NO)} {one.kind + where:<20} {words}")


def show_messages(found: Sequence[Received], zone: tzinfo) -> None:
    """What became of messages that staff wrote."""
    if found:
        click.echo("\nMessages from the school:")
    for one in found:
        begun = _at(one.begun_at.astimezone(zone)) if one.begun_at else "not begun"
        phones = f"; {one.phones.accepted} of {one.phones.told} phones took it"
        told = phones if one.phones.told else ""
        click.echo(f"  {begun}  {one.title or 'its words are not kept any more'}")
        click.echo(f"    {one.reason}: {one.reason.for_staff}{told}")


def _would_be_told(one: Answer) -> str:
    falls = f" and falls below {_limits(one)}"
    return f"would be told, if the change itself passes{falls if one.below else ''}"


def show_answer(one: Answer) -> None:
    """One decision, gate by gate."""
    when = _at(one.committed_at) if one.committed_at else ""
    click.echo(f"{when} {one.kind} ({one.watch}), change {one.change}")
    for step in one.steps:
        click.echo(f"  {_mark(step.answer)} {step.gate}")
    click.echo(f"  {one.reason}: {one.reason.for_staff}{_found_at(one)}")
    if one.below:
        click.echo(f"    it fell below {_limits(one)}")
    for words in told(one):
        click.echo(f"    {words}")


def told(one: Answer) -> list[str]:
    """What became of it where it waited, and of each push."""
    found = [f"opens at {_at(one.opens)}"] if one.opens else []
    if one.own:
        found.append(_waited(one.own))
    return found + [_try(push) for push in one.pushes]


def _waited(own: Waited) -> str:
    is_held = own.state is State.HELD
    return f"held until {_at(own.at)}: {own.hold}" if is_held else f"{own.state} at {_at(own.at)}"


def _try(one: Try) -> str:
    if one.verdict is None:
        return f"device {one.device}: no answer yet"
    because = ", its text shortened to fit" if one.is_shortened else f", {one.reason}"
    return f"device {one.device}: try {one.number} {one.verdict}{because if one.reason else ''}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _limits(one: Answer) -> str:
    return " or ".join(written(one.kind, limit) for limit in one.below)


def _found_at(one: Answer) -> str:
    at = one.at
    if at is None:
        return ""
    school = f"school {at.school}" if at.school else "no school"
    if at.calendar is not None:
        return f" (calendar {at.calendar} of {school})"
    return f" ({school}, {one.term})" if one.term else f" ({school})"


def _in_term(one: Answer) -> str:
    return f" ({one.term})" if one.term else ""


def _mark(answer_: str) -> str:
    mark, colour = _MARKS[answer_]
    return click.style(mark, fg=colour)
