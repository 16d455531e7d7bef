"""The commands for the accounts of families."""

from __future__ import annotations

from datetime import timedelta

import click

from engine.cli.command import by_command, with_district
from engine.cli.people import person_option
from engine.runtime.district import District
from engine.services.families import accounts, invitations
from engine.services.families.accounts import Account
from engine.services.families.invitations import LASTS, LONGEST
from rules.change import PersonId


@click.group("people")
def people_() -> None:
    """Accounts of families: parents and students who sign in."""


@people_.command("invite")
@person_option
@click.option(
    "--days", type=click.IntRange(1, LONGEST.days), default=LASTS.days, show_default=True,
    help="How long the code is good.",
)  # fmt: skip
@with_district
def invite(district: District, person: str, days: int) -> None:
    """Make a code to sign in with for the first time, or after a password was forgotten.

    It is good once and shown only now. A code that the person had does no more.
    """
    by = by_command()
    made = invitations.invite(
        district.database, by, PersonId(person), district.today(by.at), timedelta(days=days)
    )
    click.echo(
        f"The invitation of person {person}, good once, for {days} days, and shown only now:"
        f"\n\n  {made.code}\n"
    )


@people_.command("list")
@with_district
def list_(district: District) -> None:
    """Show who has an account or is invited."""
    is_empty = True
    for one in accounts.every(district.database, by_command().at):
        is_empty = False
        click.echo(f"{one.id or one.person}  {one.name or 'not in the directory'}  {_state(one)}")
    if is_empty:
        click.echo("Nobody has an account: `schoolbell people invite` makes an invitation.")


@people_.command("disable")
@person_option
@with_district
def disable(district: District, person: str) -> None:
    """Let somebody sign in no more, and end their logins and pushes at once."""
    accounts.disable(district.database, by_command(), PersonId(person))
    click.echo(f"Person {person} cannot sign in.")


@people_.command("enable")
@person_option
@with_district
def enable(district: District, person: str) -> None:
    """Let somebody sign in again."""
    accounts.enable(district.database, by_command(), PersonId(person))
    click.echo(f"Person {person} may sign in.")


@people_.command("sign-out-everywhere")
@person_option
@with_district
def sign_out_everywhere(district: District, person: str) -> None:
    """End every login of somebody, and the pushes to their devices."""
    count = accounts.sign_out_everywhere(district.database, by_command(), PersonId(person))
    click.echo(f"Person {person} was signed in {count} times, and is nowhere now.")


def _state(one: Account) -> str:
    if one.disabled_at:
        return "disabled"
    said = [f"signed in {one.logins} times" if one.logins else "not signed in"]
    if one.username:
        said.append(f"as {one.username}")
    if one.invited_until:
        said.append(f"invited until {one.invited_until:%Y-%m-%d %H:%M} UTC")
    return ", ".join(said)
