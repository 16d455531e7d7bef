"""The command that says how the installation stands."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
import msgspec

from engine.cli.command import with_installation
from engine.runtime.clock import utc_now
from engine.runtime.installation import Installation
from engine.services.status import look
from engine.show.status import show_status


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
