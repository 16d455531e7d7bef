"""The commands about what could not be processed."""

from __future__ import annotations

import click

from engine.cli.command import with_installation
from engine.runtime.installation import Installation
from engine.services import parked
from engine.wire.plain import plain


@click.group("parked")
def parked_() -> None:
    """Look at changes and messages that could not be processed, and try them again."""


@parked_.command("list")
@with_installation
def parked_list(installation: Installation) -> None:
    """List parked changes and dead-lettered messages with what is wrong."""
    found = parked.look(installation)
    for change in found.changes:
        click.echo(f"change {change.id}\n  {change.problem}\n  {change.remedy}")
    for message in found.messages:
        whose = f" of {message.district}" if message.district else ""
        click.echo(f"message in {message.queue.dead}{whose}\n  {plain(message.reason)}")
    if not found.changes and not found.dead:
        click.echo("Nothing is parked.")


@parked_.command("retry")
@with_installation
def parked_retry(installation: Installation) -> None:
    """Try all of them again."""
    again = parked.retry(installation)
    click.echo(f"{again.changes} changes and {again.messages} messages are on their way again.")
