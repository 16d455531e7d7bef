"""How an installation stands, on one screen."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from engine.services.hub import HubStatus
from engine.services.status import Status


def show_status(found: Status | HubStatus, now: datetime) -> None:
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
    if found.disk:
        click.echo(f"Disk                 {click.style(found.disk[0], fg='red')}")
        click.echo(f"                     {found.disk[1]}")
    if found.broker:
        click.echo(f"Queues               {click.style(found.broker[0], fg='red')}")
        click.echo(f"                     {found.broker[1]}")
    for queue, depth in found.queues.items():
        dead = f", {depth.dead} dead-lettered" if depth.dead else ""
        click.echo(f"Queue {queue:<15}{depth.ready} messages{dead}")
    outcomes = ", ".join(
        f"{count} {what.replace('_', ' ')}" for what, count in sorted(found.outcomes.items())
    )
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


def _ago(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
