"""The command that says why somebody heard, or did not hear, of a change."""

from __future__ import annotations

import click

from engine.cli.command import with_district
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.services import why
from engine.services.broadcasts.received import received
from engine.show.why import show_answer, show_answers, show_messages
from rules.change import ChangeId, PersonId, StudentId


@click.command("why")
@click.option("--student", required=True, help="The student's id in the SIS.")
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option("--change", help="One change; without it the newest, and how things stand now.")
@click.option("--last", default=5, show_default=True, help="How many decisions to show.")
@with_district
def why_(district: District, student: str, person: str, change: str | None, last: int) -> None:
    """Say why a person did, or did not, hear about a student. Gate by gate.

    Moments are by the district's clock.
    """
    who = StudentId(student), PersonId(person)
    now = utc_now()
    if change:
        show_answer(why.of_change(district.database, *who, ChangeId(change), zone=district.zone))
        return
    trusted = district.config.schedule.directory_trusted
    show_answers(
        *why.whole(district.database, *who, now, district.today(now), last, zone=district.zone),
        waits=why.waits(district.database, who[0], now, trusted),
    )
    show_messages(received(district.database, *who, last), district.zone)
