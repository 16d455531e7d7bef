"""How answers look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import click

from engine.broker.rabbitmq.address import PLAINTEXT_WARNING, plaintext
from engine.config import Config
from engine.services.hub import HubStatus
from engine.services.parked import Parked
from engine.services.status import Status
from engine.services.why import BY_CHANGE, NO, NOT_ASKED, YES, Answer
from engine.sources.capture import Finding
from engine.wire.plain import plain
from rules.reasons import Reason

_MARKS = {
    YES: ("✓", "green"),
    NO: ("✗", "red"),
    NOT_ASKED: ("·", "bright_black"),
    BY_CHANGE: ("?", "yellow"),
}


def warn_of_plaintext(config: Config) -> None:
    """Say it at the top of every command when families' data travels without TLS."""
    for section, settings in (("broker", config.broker), ("hub", config.hub)):
        host = plaintext(settings)
        if host and settings.allow_plaintext:
            where = f"([{section}] url speaks to {host} without TLS.)"
            click.secho(f"{PLAINTEXT_WARNING} {where}", fg="red", bold=True, err=True)


def findings(found: Sequence[Finding]) -> None:
    """One line for each watch, and what capture would miss."""
    for finding in found:
        mark = click.style(
            "✓" if finding.in_place else "✗", fg="green" if finding.in_place else "red"
        )
        click.echo(f"{mark} {finding.table:<22} {finding.watch:<22} {finding.state}")
    if found:
        click.echo(f"\nNot seen by triggers: {found[0].missed}.")


def status(found: Status | HubStatus, now: datetime) -> None:
    """The whole status on one screen."""
    match found:
        case HubStatus():
            _hub(found)
        case Status():
            _district(found, now)


def _district(found: Status, now: datetime) -> None:
    click.echo(f"Push notifications   {'on' if found.enabled else 'off, for the whole district'}")
    sealed = "on" if found.end_to_end else "off"
    click.echo(f"Lock screens show    {found.lock_screen} texts; end-to-end sealing {sealed}")
    broken = [finding for finding in found.captured if not finding.in_place]
    captured = f"{len(found.captured)} watches in place"
    if broken:
        captured = ", ".join(f"{finding.table} {finding.state}" for finding in broken)
    click.echo(f"Capture              {captured}")
    click.echo(f"Not relayed yet      {found.waiting_rows} rows, the oldest {_ago(found.lag)}")
    if found.broker:
        click.echo(f"Queues               {click.style(found.broker[0], fg='red')}")
        click.echo(f"                     {found.broker[1]}")
    for queue, depth in found.queues.items():
        dead = f", {depth.dead} dead-lettered" if depth.dead else ""
        click.echo(f"Queue {queue:<15}{depth.ready} messages{dead}")
    outcomes = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.outcomes.items()))
    click.echo(f"The last hour        {found.changes} changes; pushes: {outcomes or 'none'}")
    click.echo(f"Retries planned      {found.retries}")
    click.echo(f"Parked changes       {found.parked}")
    for sentence in found.stalled:
        click.secho(sentence, fg="red")
    if found.alarms:
        click.echo("\nAlarms, the newest first")
    for alarm in found.alarms:
        again = f", {alarm.times} times" if alarm.times > 1 else ""
        age = _ago(now - alarm.last_at)
        click.echo(f"  {alarm.kind} {alarm.subject} ({age} ago{again})")
        click.echo(f"    {alarm.problem}\n    {alarm.remedy}")


def parked(found: Parked) -> None:
    """Each parked change and message, with its reason."""
    for change in found.changes:
        click.echo(f"change {change.id}\n  {change.problem}\n  {change.remedy}")
    for message in found.messages:
        whose = f" of {message.district}" if message.district else ""
        click.echo(f"message in {message.queue.dead}{whose}\n  {plain(message.reason)}")
    if not found.changes and not found.dead:
        click.echo("Nothing is parked.")


def _hub(found: HubStatus) -> None:
    """One line for each district of a hub, and what is wrong with it."""
    width = max(len(one.name) for one in found.districts) + 2
    for one in found.districts:
        mark = click.style("✓", fg="green") if one.healthy else click.style("✗", fg="red")
        depths = ", ".join(
            f"{depth.ready} {queue}" + (f" and {depth.dead} dead-lettered" if depth.dead else "")
            for queue, depth in one.queues.items()
        )
        click.echo(f"{mark} {one.name:<{width}}{one.problem or 'waiting: ' + depths}")
        if one.remedy:
            click.echo(f"  {'':<{width}}{one.remedy}")


def answers(decided: Sequence[Answer], standing: Sequence[Answer]) -> None:
    """What was decided, and how things stand now."""
    for one in decided:
        answer(one)
        click.echo()
    if not decided:
        click.echo("No change about this student was ever decided on for this person.\n")
    click.echo("If something changed now:")
    for one in standing:
        told = one.reason is Reason.TOLD
        words = "would be told, if the change itself passes" if told else one.reason.for_staff
        click.echo(f"  {_mark(YES if told else NO)} {one.kind:<20} {words}")


def answer(one: Answer) -> None:
    """One decision, gate by gate."""
    when = f"{one.committed_at:%Y-%m-%d %H:%M:%S}" if one.committed_at else ""
    click.echo(f"{when} {one.kind} ({one.watch}), change {one.change}")
    for step in one.steps:
        click.echo(f"  {_mark(step.answer)} {step.gate}")
    click.echo(f"  {one.reason}: {one.reason.for_staff}")
    for push in one.pushes:
        click.echo(f"    {push}")


def _mark(answer_: str) -> str:
    mark, colour = _MARKS[answer_]
    return click.style(mark, fg=colour)


def _ago(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
