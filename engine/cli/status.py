"""The commands that answer questions: how the installation stands, and why somebody heard."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
import msgspec

from engine.cli.command import with_district, with_installation
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.runtime.installation import Installation
from engine.services import why
from engine.services.status import look
from engine.show.status import show_status
from engine.show.why import show_answer, show_answers
from rules.change import ChangeId, PersonId, StudentId


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@with_installation
def status(installation: Installation, as_json: bool) -> None:
    """Show capture, queues, lag, outcomes and the alarms. Exits 1 when something is wrong."""
    now = utc_now()
    found = look(installation, now)
    if as_json:
        click.echo(msgspec.json.encode(asdict(found), enc_hook=str))
    else:
        show_status(found, now)
    if not found.healthy:
        sys.exit(1)


@click.command("why")
@click.option("--student", required=True, help="The student's id in the SIS.")
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option("--change", help="One change; without it the newest, and how things stand now.")
@click.option("--last", default=5, show_default=True, help="How many decisions to show.")
@with_district
def why_(district: District, student: str, person: str, change: str | None, last: int) -> None:
    """Say why a person did, or did not, hear about a student. Gate by gate."""
    who = StudentId(student), PersonId(person)
    now = utc_now()
    with district.database.read() as connection:
        if change:
            show_answer(why.of_change(connection, *who, ChangeId(change)))
            return
        answers = why.decided(connection, *who, now, limit=last)
        standing = why.standing(connection, *who, now, district.today(now))
    show_answers(answers, standing)
