"""The commands about what stands on lock screens, and about the keys of device tokens."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, Final

import click

from engine.cli.command import with_district
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.secrets import keyring
from engine.secrets.envelope import KEY_SIZE
from engine.services import settings
from engine.store import devices
from rules.audience import DeviceId
from rules.privacy import Level, shown

_AS_DISTRICT: Final = "district"
_ON_A_TABLE: Final = "It may stand on a locked phone that lies on a table"
_READ_BY: Final = ", and be read by whoever delivers it: the hub, Google and Apple."
_SEALED: Final = "; whoever delivers it carries it sealed."
_MAY_SHOW: Final = {
    Level.GENERIC: "that there is something to read, and nothing else",
    Level.NAMED: "the student's first name and the kind of news, without any value",
    Level.FULL: "the whole text: first names, courses, scores, grades, absences, balances",
}


class _PushKey(click.ParamType[bytes]):
    """32 bytes in base64. What is wrong is never repeated: it may be nearly right."""

    name = "base64"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        try:
            key = b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_SIZE:
            self.fail(f"not {KEY_SIZE} bytes in base64", param, ctx)
        return key


PUSH_KEY: Final = _PushKey()


@click.command()
@click.argument("level", required=False, type=click.Choice([level.value for level in Level]))
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_district
def privacy(district: District, level: str | None, yes: bool) -> None:
    """Say what notifications may show in this district: generic, named or full.

    Everybody may choose less for a phone of theirs. The inbox in the app always holds all.
    Without a LEVEL: say what they show now.
    """
    now = settings.privacy(district.database)
    chosen = Level(level) if level else now.level
    if shown(now.level, chosen) is not chosen:
        who = _SEALED if now.end_to_end else _READ_BY
        click.echo(f"Each notification will show {_MAY_SHOW[chosen]}. {_ON_A_TABLE}{who}")
        if not yes:
            click.confirm("Go on?", abort=True)
    if level:
        settings.set_privacy(district.database, chosen)
    click.echo(f"Notifications show {_MAY_SHOW[chosen]}.")


@click.command("end-to-end")
@click.argument("wanted", type=click.Choice(["on", "off"]))
@with_district
def end_to_end(district: District, wanted: str) -> None:
    """Seal texts for the phone, so that the hub, Google and Apple carry what they cannot read.

    A phone whose app has given no key then shows that there is something to read, nothing else.
    """
    settings.set_end_to_end(district.database, sealed=wanted == "on")
    level = settings.privacy(district.database).level
    click.echo(f"End-to-end sealing is {wanted}.")
    if wanted == "on":
        click.echo(f"Phones that can open what is sealed show {_MAY_SHOW[level]}.")


@click.group("device")
def device_() -> None:
    """What a person chooses for one device."""


@device_.command("privacy")
@click.option("--device", required=True, type=int, help="The device, as `sign-in` names it.")
@click.argument("level", type=click.Choice([*(level.value for level in Level), _AS_DISTRICT]))
@with_district
def device_privacy(district: District, device: int, level: str) -> None:
    """Choose what one device may show, as the app does. The district's word may be stricter."""
    chosen = None if level == _AS_DISTRICT else Level(level)
    with district.database.write() as connection:
        devices.set_level(connection, DeviceId(str(device)), chosen)
    at_most = "what the district allows" if chosen is None else f"at most {_MAY_SHOW[chosen]}"
    click.echo(f"Device {device} shows {at_most}.")


@click.group("keys")
def keys() -> None:
    """The keys that encrypt device tokens in the database."""


@keys.command("show")
@with_district
def keys_show(district: District) -> None:
    """List the keys, and how many devices are encrypted with each; never a secret."""
    with district.database.read() as connection:
        used = dict(devices.uses(connection))
    for key in keyring.read(district.config.keys.file):
        click.echo(f"{key.id}  made {key.created:%Y-%m-%d}  {used.pop(key.id, 0)} devices")
    for lost, count in used.items():
        click.echo(f"{lost}  not in the keyring  {count} devices")


@keys.command("rotate")
@click.option("--finish", is_flag=True, help="Drop the older key: every machine has the new file.")
@with_district
def keys_rotate(district: District, finish: bool) -> None:
    """Make a new key and encrypt everything with it. The engine may run.

    The older key stays in the keyring for the other machines. Copy the file to them, then run it
    again with --finish. Interrupted, it goes on where it was when it is run again; until it is
    finished it makes no further key.
    """
    file = district.config.keys.file
    rotate = devices.finish_rotation if finish else devices.rotate
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


@keys.command("lost")
@click.confirmation_option(
    prompt="People hear of nothing on these devices until they open the app again. Go on?"
)
@with_district
def keys_lost(district: District) -> None:
    """Retire all devices whose key is lost; where there is no keyring, make a new one."""
    count = devices.give_up_lost(district.database, district.config.keys.file, utc_now())
    click.echo(f"{count} devices are retired. What opens the app again is registered anew.")


COMMANDS: Final[tuple[click.Command, ...]] = (privacy, end_to_end, device_, keys)
