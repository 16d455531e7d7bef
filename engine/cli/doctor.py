"""The command `schoolbell doctor`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from engine.config import LogSettings
from engine.doctor import report
from engine.doctor.diagnosis import State
from engine.doctor.hops import walk
from engine.telemetry import configure


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def doctor(config: Path | None, as_json: bool) -> None:
    """Find the broken hop between the SIS and the phones, and who can mend it.

    Every hop is tried in its order, up to the first that is broken; nothing is changed or left
    behind anywhere. Exits 1 when one is broken.
    """
    configure(LogSettings(level="error"))
    found = []
    for diagnosis in walk(config):
        found.append(diagnosis)
        if not as_json:
            report.hop(diagnosis)
    last = found[-1]
    is_well = last.state is not State.BROKEN
    if as_json:
        hops = [asdict(diagnosis) for diagnosis in found]
        click.echo(msgspec.json.encode({"ok": is_well, "hops": hops}))
    elif is_well:
        click.echo("\nEvery hop is well.")
    else:
        report.explanation(last)
    if not is_well:
        sys.exit(1)
