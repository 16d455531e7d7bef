"""What `schoolbell phones` prints: how to send to the phones, and each push as it arrives."""

from __future__ import annotations

import sys

import click

from engine.trial.demo.toml import as_toml
from engine.trial.phones.devices import Kind, Received
from engine.trial.phones.phones import Phones

_SYSTEMS = {"fcm": "FCM", "apns": "APNs", "web_push": "Web Push"}


class Ringing:
    """Knows each phone by a number: its address is a secret."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Kind, str], int] = {}

    def ready(self, phones: Phones) -> None:
        """Print what goes into the configuration; all of it is TOML."""
        click.echo(f"# The phones: {phones.control_url}")
        click.echo("# For schoolbell.toml:\n")
        click.echo(as_toml(phones.settings))
        click.echo("# What arrives, until Ctrl-C:")
        sys.stdout.flush()

    def rang(self, received: Received) -> None:
        """Print one push."""
        who = (received.kind, received.token)
        number = self._numbers.setdefault(who, len(self._numbers) + 1)
        words = f"{received.title} · {received.body}" if received.visible else "(silent)"
        click.echo(
            f"{received.at.astimezone():%H:%M:%S}  phone {number} ({_SYSTEMS[received.kind]})"
            f"  {words}"
        )
        sys.stdout.flush()
