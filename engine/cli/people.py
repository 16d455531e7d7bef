"""The commands that do what people do in the app."""

from __future__ import annotations

import binascii
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any, Final

import click

from engine.cli.choices import KIND, MAY_SHOW
from engine.cli.command import with_district
from engine.files import read_text
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.secrets.addresses import WEB_PUSH
from engine.secrets.envelope import KEY_SIZE
from engine.services import devices, people, web_push
from engine.wire.messages import Token
from rules.audience import DeviceId
from rules.change import Kind, PersonId, StudentId
from rules.privacy import Level
from rules.thresholds import written

_AS_DISTRICT: Final = "district"
_MOST_READ: Final = 65_536  # characters of a subscription


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


person_option = click.option("--person", required=True, help="The person's id in the SIS.")


@click.command("sign-in")
@person_option
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["fcm_token", "fcm_fid", "apns", "web_push"]),
    help="Whose address it is: Google's, by token or installation, Apple's, or a browser's.",
)
@click.option("--token", help="The device's address, from the app.")
@click.option(
    "--subscription",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Of a browser, in its place: a file with its PushSubscription in JSON; - is standard "
    "input.",
)
@click.option("--stay/--no-stay", default=True, show_default=True, help="Stay Logged In.")
@click.option(
    "--push-key",
    type=_PushKey(),
    help="32 bytes in base64, with which the app opens what is sealed for it.",
)
@with_district
def sign_in(
    district: District, person: str, kind: str, token: str | None, subscription: Path | None,
    stay: bool, push_key: bytes | None,
) -> None:  # fmt: skip
    """Register a person's device, as the app does when somebody signs in."""
    hosts = web_push.require_offered(district.config).hosts if kind == WEB_PUSH else ()
    address = Token(kind, _address(kind, token, subscription))
    device = people.sign_in(
        district.database, district.keyring, PersonId(person), address, utc_now(),
        push_key=push_key, stay_logged_in=stay, hosts=hosts,
    )  # fmt: skip
    click.echo(f"Person {person} is signed in on device {device}.")


def _address(kind: str, token: str | None, subscription: Path | None) -> str:
    """What was given of the two; a subscription is too secret and too long for a command line."""
    if kind == WEB_PUSH and subscription is not None and token is None:
        if str(subscription) == "-":
            return sys.stdin.read(_MOST_READ)
        return read_text(subscription, "subscription", "Save what the browser gave, as it is.")
    if kind != WEB_PUSH and token is not None and subscription is None:
        return token
    raise click.UsageError("Give --subscription for a browser, and --token for every other device.")


@click.command("sign-out")
@person_option
@click.option("--device", required=True, help="The device, as `sign-in` names it.")
@with_district
def sign_out(district: District, person: str, device: str) -> None:
    """End a person's session on a device, as the app does."""
    people.sign_out(district.database, PersonId(person), DeviceId(device), utc_now())
    click.echo(f"Person {person} is signed out on device {device}.")


@click.command()
@person_option
@click.option("--student", required=True, help="The student's id in the SIS.")
@click.option("--kind", required=True, type=KIND, help="What to hear of.")
@click.option(
    "--below",
    multiple=True,
    help="Only when the value falls below this (%, or dollars); may be given several times.",
)
@click.option("--on/--off", default=True, show_default=True, help="Hear of it, or not.")
@with_district
def subscribe(
    district: District, person: str, student: str, kind: str, below: tuple[str, ...], on: bool
) -> None:
    """Choose what a person hears about a student, as the app does."""
    limits = people.subscribe(
        district.database, PersonId(person), StudentId(student), Kind(kind),
        enabled=on, thresholds=below,
    )  # fmt: skip
    below_any = (
        f", below {' and '.join(written(Kind(kind), one) for one in limits)}" if limits else ""
    )
    click.echo(f"Person {person} {'hears' if on else 'does not hear'} of {kind}{below_any}.")


@click.group("device")
def device_() -> None:
    """What a person chooses for one device."""


@device_.command("privacy")
@click.option("--device", required=True, help="The device, as `sign-in` names it.")
@click.argument("level", type=click.Choice([*(level.value for level in Level), _AS_DISTRICT]))
@with_district
def device_privacy(district: District, device: str, level: str) -> None:
    """Choose what one device may show, as the app does. The district's word may be stricter."""
    chosen = None if level == _AS_DISTRICT else Level(level)
    devices.set_privacy(district.database, DeviceId(device), chosen)
    at_most = "what the district allows" if chosen is None else f"at most {MAY_SHOW[chosen]}"
    click.echo(f"Device {device} shows {at_most}.")
