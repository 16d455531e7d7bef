"""The command `schoolbell inbox`: what a person was told."""

from __future__ import annotations

import click

from engine.cli.command import with_district
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.services import inbox
from rules.change import PersonId
from rules.notification import NotificationId


@click.command("inbox")
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option("--last", default=20, show_default=True, help="How many entries to show.")
@click.option("--seen", is_flag=True, help="Note that the person has looked at the list.")
@click.option("--read", "entries", multiple=True, help="Note that the person has read this entry.")
@with_district
def inbox_(
    district: District, person: str, last: int, seen: bool, entries: tuple[str, ...]
) -> None:
    """Show what a person was told, newest first.

    Texts are in the person's language, moments by the district's clock. `new` marks what they
    have not seen, `unread` what they have not read. Looking here changes neither.
    """
    who, now = PersonId(person), utc_now()
    inbox.mark_read(district.database, who, [NotificationId(one) for one in entries], now)
    if seen:
        inbox.mark_seen(district.database, who, now)
    found = inbox.inbox(district.database, district.wording, who, now, last)
    for entry in found.entries:
        mark = "new" if not entry.seen else "read" if entry.read else "unread"
        at = entry.at.astimezone(district.zone)
        click.echo(f"{at:%Y-%m-%d %H:%M:%S}  {mark:<7} {entry.title}")
        click.echo(f"    {entry.body}")
        if entry.because:
            click.echo(f"    {entry.because}")
        click.echo(f"    about student {entry.student}, {entry.kind}, entry {entry.id}")
    if not found.entries:
        click.echo(f"Person {person} was told nothing, or nothing that is still kept.")
    else:
        click.echo(f"{found.unseen} of these are new.")
