"""The commands about the keys: of device tokens, and of pushes to browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from engine.cli.command import with_district, with_installation
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.runtime.installation import Installation
from engine.services import keys, web_push

_WEB_PUSH_FILE: Final = "web-push.pem"


@click.group("keys")
def keys_() -> None:
    """The keys that encrypt device tokens in the database, and the key of Web Push."""


@keys_.command("show")
@with_district
def keys_show(district: District) -> None:
    """List the keys, and how many devices are encrypted with each; never a secret."""
    for key in keys.listed(district.database, district.config.keys.file):
        day = key.made.astimezone(district.zone) if key.made else None
        made = f"made {day:%Y-%m-%d}" if day else "not in the keyring"
        click.echo(f"{key.id}  {made}  {key.devices} devices")


@keys_.command("rotate")
@click.option("--finish", is_flag=True, help="Drop the older key: every machine has the new file.")
@with_district
def keys_rotate(district: District, finish: bool) -> None:
    """Make a new key and encrypt everything with it. The engine may run.

    The older key stays in the keyring for the other machines. Copy the file to them, then run it
    again with --finish. Interrupted, it goes on where it was when it is run again; until it is
    finished it makes no further key.
    """
    file = district.config.keys.file
    rotate = keys.finish_rotation if finish else keys.rotate
    done = rotate(district.database, file, utc_now())
    if done.resumed and not finish:
        click.echo("An earlier rotation was not finished, so no further key was made.")
    click.echo(f"{done.sealed} devices are encrypted anew, with the key {done.newest}.")
    if done.unreadable:
        click.echo(f"{done.unreadable} were damaged in the database; they are retired.")
    if not done.older:
        click.echo(f"No older key is left in {file}.")
    elif finish:
        click.echo("Meanwhile a sign-in used an older key, which stays: run this again.")
    else:
        click.echo(
            f"The older key stays for now: copy {file} to the other machines that run Schoolbell, "
            "then run `schoolbell keys rotate --finish`."
        )


@keys_.command("lost")
@click.confirmation_option(
    prompt="People hear of nothing on these devices until they open the app again. Go on?"
)
@with_district
def keys_lost(district: District) -> None:
    """Retire all devices whose key is lost; where there is no keyring, make a new one."""
    count = keys.give_up_lost(district.database, district.config.keys.file, utc_now())
    click.echo(f"{count} devices are retired. What opens the app again is registered anew.")


@keys_.command("web-push")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Where the key is. [default: key_file of [web_push], or {_WEB_PUSH_FILE} beside the "
    "keyring]",
)
@with_installation
def keys_web_push(installation: Installation, file: Path | None) -> None:
    """Make the key that pushes to browsers are signed with, and show its public half.

    A key that is there is kept: every browser subscribes for one key, and hears nothing of another.
    Where a hub delivers, run it at the hub, and give the public key to the districts.
    """
    settings = installation.config.web_push
    beside = installation.config.keys.file.with_name(_WEB_PUSH_FILE)
    made = web_push.make_key(file or settings.key_file or beside)
    click.echo(f"{'Made' if made.is_new else 'Kept'} {made.file}. Keep a copy of it.\n")
    if settings.key_file != made.file or not settings.contact:
        click.echo("For the configuration where pushes are sent from, with your own contact:\n")
        click.echo(
            f'[web_push]\nkey_file = "{made.file}"\ncontact = "mailto:it@district.example"\n'
        )
    click.echo("For the districts of a hub, in their configurations:\n")
    click.echo(f'[web_push]\npublic_key = "{made.public_key}"')
