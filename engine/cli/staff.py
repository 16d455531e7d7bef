"""The commands about staff who use the portal."""

from __future__ import annotations

import secrets

import click

from engine.cli.command import by_command, with_district
from engine.runtime.district import District
from engine.services.staff import accounts
from engine.services.staff.accounts import Account

_PASSWORD_BYTES = 15


@click.group("staff")
def staff_() -> None:
    """Accounts of those who use the portal in a browser."""


@staff_.command("add")
@click.argument("username")
@click.option("--name", help="As it is shown. [default: the username]")
@click.option("--admin", is_flag=True, help="With every right, also to give rights to others.")
@click.option("--language", type=click.Choice(accounts.LANGUAGES), default="en", show_default=True)
@click.option("--by-provider", is_flag=True, help="Signs in by the provider of [portal.oidc].")
@with_district
def add(
    district: District, username: str, name: str | None, admin: bool, language: str,
    by_provider: bool,
) -> None:  # fmt: skip
    """Make an account, and show its first password once.

    With --by-provider USERNAME is what the provider knows it by, mostly an e-mail address.
    """
    if by_provider:
        accounts.require_provider(district.config.portal.oidc)
    password = None if by_provider else secrets.token_urlsafe(_PASSWORD_BYTES)
    made = accounts.add(
        district.database, by_command(), username, name or username, password,
        admin=admin, language=language,
    )  # fmt: skip
    click.echo(f"The account {made.username} is made.")
    if password:
        click.echo(f"Its password, shown only now:\n\n  {password}\n")
    _show_setup_code(district, made)
    where = district.config.portal
    click.echo(f"Sign in at {where.public_url or f'http://{where.listen}'}/sign-in.")


@staff_.command("list")
@with_district
def list_(district: District) -> None:
    """Show every account."""
    found = accounts.every(district.database)
    for one in found:
        state = "disabled" if one.is_disabled else "may sign in"
        click.echo(f"{one.username}  {one.name}  {state}")
    if not found:
        click.echo("There is no account yet: `schoolbell staff add NAME --admin` makes one.")


@staff_.command("password")
@click.argument("username")
@with_district
def password_(district: District, username: str) -> None:
    """Set a new password, show it once, and end every session of the account."""
    account = accounts.named(district.database, username)
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    accounts.set_password(district.database, by_command(), account.id, password)
    click.echo(f"The new password of {account.username}, shown only now:\n\n  {password}\n")


@staff_.command("setup-code")
@click.argument("username")
@with_district
def setup_code(district: District, username: str) -> None:
    """Make a code that the first second factor of an account needs, and show it once."""
    _show_setup_code(district, accounts.named(district.database, username))


@staff_.command("forget-second-factor")
@click.argument("username")
@with_district
def forget_second_factor(district: District, username: str) -> None:
    """Take the app and the passkeys away from somebody who lost them and every recovery code."""
    account = accounts.named(district.database, username)
    accounts.forget_second_factor(district.database, by_command(), account.id)
    click.echo(f"{account.username} signs in without a second factor, and sets one up anew.")
    _show_setup_code(district, account)


def _show_setup_code(district: District, account: Account) -> None:
    code = accounts.new_setup_code(district.database, by_command(), account.id)
    click.echo(
        f"The setup code for a first authenticator app or passkey, good for "
        f"{accounts.SETUP_CODES_LAST.days} days and shown only now:\n\n  {code}\n"
    )
