"""What a draft found, and what a definition would have told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from engine.ports import Decided, DecidedFor
from engine.services.source import Asked, Beginning, Drafted, Listed, Said, Tried, TriedRow
from rules.audience import Audience
from rules.reasons import Reason
from rules.wording import TextFault

_WIDTH: Final = 22
_MOST_TEXTS: Final = 6

# What people have in common who are told of a record, or not told.
_KINDS: Final = {
    (Audience.STUDENT, Reason.TOLD): ("the student", "students"),
    (Audience.GUARDIAN, Reason.TOLD): ("guardian", "guardians"),
    (Audience.GUARDIAN, Reason.NO_PORTAL_RIGHT): (
        "guardian without portal right", "guardians without portal right",
    ),
    (Audience.GUARDIAN, Reason.RESTRICTED): (
        "guardian whom a restriction keeps out", "guardians whom a restriction keeps out",
    ),
    (Audience.GUARDIAN, Reason.RIGHT_NOT_IN_FORCE): (
        "guardian whose right has ended or not begun",
        "guardians whose right has ended or not begun",
    ),
    (Audience.GUARDIAN, Reason.KIND_WITHHELD): (
        "guardian whose right does not reach to this kind",
        "guardians whose right does not reach to this kind",
    ),
}  # fmt: skip


def show_drafted(drafted: Drafted, file: Path) -> None:
    """Which tables were taken for what, and what waits to be filled in."""
    for role, table in drafted.taken:
        mark = click.style("✓", fg="green") if table else click.style("·", fg="bright_black")
        click.echo(f"{mark} {role:<36} {table or 'no table looks like it'}")
    click.echo(f"\n{file} is written; read every line of it.")
    if drafted.waiting:
        click.echo("These lines wait to be filled in:")
        width = len(str(drafted.waiting[-1].line))
        for one in drafted.waiting:
            click.echo(f"  line {one.line:>{width}}  {one.what}")
    click.echo(f"Then: schoolbell source try --definition {file}")


def show_part(part: Beginning | Listed | Asked | Tried) -> None:
    """One part of a trial, as soon as it is there."""
    match part:
        case Beginning():
            click.echo(f"The definition {part.definition} on {part.database}, which is only read.")
            click.echo("Nothing is sent, installed or written. Everybody counts as signed in.")
            for remark in part.remarks:
                click.echo(f"{click.style('·', fg='yellow')} {remark}")
            click.echo()
            click.secho("The directory", bold=True)
        case Listed():
            _listed(part)
        case Asked():
            _asked(part)
        case Tried():
            _tried(part)


def _listed(part: Listed) -> None:
    if part.problem:
        click.echo(f"{_mark(is_well=False)} {part.entity:<{_WIDTH}} {part.problem[0]}")
        click.echo(f"  {'':<{_WIDTH}} {part.problem[1]}")
        return
    rows = _count(part.rows, "row")
    mark = _mark(is_well=not part.unread)
    click.echo(f"{mark} {part.entity:<{_WIDTH}} {rows:>14} {_time(part.seconds):>10}")
    for words in part.unread:
        click.echo(f"  {'':<{_WIDTH}} {words}")


def _asked(part: Asked) -> None:
    """A query by itself, and what it lacks."""
    by = f"{part.name} by {', '.join(part.by)}"
    click.echo(
        f"{_mark(is_well=not part.whole)} {by}: {_count(part.rows, 'row')} for "
        f"{_count(part.keys, 'key')}, {_time(part.seconds)}"
    )
    if part.whole:
        click.secho(
            f"  reads all of {', '.join(part.whole)}: no index can be used. An index on what it is "
            "joined or narrowed by helps.",
            fg="red",
        )


def _tried(part: Tried) -> None:
    watch = part.watch
    click.echo()
    click.secho(f"{watch.name} ({watch.kind})", bold=True, nl=False)
    chosen = f"{_count(len(part.rows), 'row')}, {part.how}" if part.rows else "no row to try"
    click.echo(f" on {watch.table}: {chosen}")
    if part.problem:
        click.echo(f"{_mark(is_well=False)} {part.problem[0]}\n  {part.problem[1]}")
    for row in part.rows:
        _row(row, part)
    for one in part.asked:
        _asked(one)


def _row(row: TriedRow, part: Tried) -> None:
    click.echo(f"  {row.name}")
    if row.problem:
        click.secho(f"    cannot be decided: {row.problem[0]}", fg="red")
        click.echo(f"    {row.problem[1]}")
        return
    texts = list(dict.fromkeys(map(_text, row.said)))
    for text in texts[:_MOST_TEXTS]:
        click.echo(f"    {text}")
    if len(texts) > _MOST_TEXTS:
        click.echo(f"    and {len(texts) - _MOST_TEXTS} more texts")
    for line in _lines(row.decided):
        click.echo(f"    {line}")
    for name in _names(row.decided, part):
        click.echo(f"      {name}")


def _text(one: Said) -> str:
    if isinstance(one.text, TextFault):
        return f"{one.audience}: no text, because {one.text.problem}"
    return f"{one.audience}: {one.text.title} | {one.text.body}"


def _lines(decided: Sequence[Decided]) -> Iterator[str]:
    """Who would be told and who not, counted; or why nobody."""
    people = [person for row in decided for person in row.people]
    told = [one for one in people if one.reason is Reason.TOLD]
    if told:
        yield f"{click.style('told', fg='green')}      {_kinds(told)}"
    if not people:
        concerned = any(row.place for row in decided)
        why = "the student has no person" if concerned else "the facts have no row for it"
        yield f"{click.style('nobody', fg='yellow')}    {why}"
    for reason in dict.fromkeys(one.reason for one in people):
        if reason is not Reason.TOLD:
            same = [one for one in people if one.reason is reason]
            yield f"{click.style('not told', fg='yellow')}  {_silent(same, reason)}"


def _silent(people: Sequence[DecidedFor], reason: Reason) -> str:
    if (Audience.GUARDIAN, reason) in _KINDS:
        return _kinds(people)
    who = "1 person" if len(people) == 1 else f"{len(people)} people"
    return f"{who}: {reason.for_staff}"


def _kinds(people: Sequence[DecidedFor]) -> str:
    counted = Counter((one.audience, one.reason) for one in people)
    return ", ".join(
        _kind(audience, reason, count) for (audience, reason), count in counted.items()
    )


def _kind(audience: Audience, reason: Reason, count: int) -> str:
    one, many = _KINDS.get((audience, reason), _KINDS[audience, Reason.TOLD])
    if count == 1:
        return one if one.startswith("the ") else f"1 {one}"
    return f"{count} {many}"


def _names(decided: Sequence[Decided], part: Tried) -> Iterator[str]:
    if not part.names:
        return
    for row in decided:
        for one in row.people:
            who = part.names.get(one.person, "")
            yield f"{who} (person {one.person}, {one.audience}): {one.reason}"


def _mark(*, is_well: bool) -> str:
    return click.style("✓" if is_well else "✗", fg="green" if is_well else "red")


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number:,} {word}s"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"
