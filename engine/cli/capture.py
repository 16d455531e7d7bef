"""The commands about what stands in the SIS: triggers and the outbox."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from engine.cli.choices import MOMENT, in_zone
from engine.cli.command import with_district
from engine.runtime.district import District
from engine.services import capture
from engine.services.capture import Checked


@click.group("capture")
def capture_() -> None:
    """Put triggers on the watched tables of the SIS, check them, take them away."""


@capture_.command("install")
@click.option("--take-over", is_flag=True, help="Take what an installation left that is no more.")
@click.option(
    "--published", is_flag=True, help="Go on where a publication carries the outbox elsewhere."
)
@with_district
def capture_install(district: District, take_over: bool, published: bool) -> None:
    """Make the outbox and the triggers that are missing or outdated."""
    _show(capture.install(district, take_over=take_over, published=published))


@capture_.command("check")
@with_district
def capture_check(district: District) -> None:
    """Say for each table whether capture is in place, and what it would miss."""
    found = capture.check(district)
    _show(found)
    if found.concerns or not all(finding.in_place for finding in found.findings):
        sys.exit(1)


@capture_.command("grants")
@click.option("--role", required=True, help="The user of [source] url, like bell.")
@with_district
def capture_grants(district: District, role: str) -> None:
    """Print what an owner of the SIS runs to give a user the least rights that suffice."""
    found = capture.grants(district, role)
    for statement in found.statements:
        click.echo(statement)
    if not found.statements:
        click.echo("-- Nothing: who may write the file may do all of it.")
    for name in found.unknown:
        click.echo(f"-- There is no table {name}; if a query reads it, check its name.")


@capture_.command("remove")
@click.confirmation_option(prompt="Changes that are not relayed yet are lost. Go on?")
@with_district
def capture_remove(district: District) -> None:
    """Take away the triggers of this installation, and its outbox."""
    removed = capture.remove(district)
    click.echo(f"Removed {len(removed)} triggers and the outbox.")


@click.command()
@click.option(
    "--since",
    required=True,
    type=MOMENT,
    help="Like 2026-11-22T08:00:00, by the district's clock; or with an offset, like "
    "2026-11-22T08:00:00-06:00, or Z for UTC.",
)
@with_district
def replay(district: District, since: datetime) -> None:
    """Relay again what was captured since a moment, after a broker was lost.

    What was evaluated already has no effect again.
    """
    count = capture.replay(district, in_zone(since, district.zone))
    click.echo(f"{count} captured changes will be relayed again.")


def _show(found: Checked) -> None:
    """One line for each watch, what capture would miss, and what stands in its way."""
    for finding in found.findings:
        mark = click.style(
            "✓" if finding.in_place else "✗", fg="green" if finding.in_place else "red"
        )
        click.echo(f"{mark} {finding.table:<22} {finding.watch:<22} {finding.state}")
    if found.findings:
        click.echo(f"\nNot seen by triggers: {found.findings[0].missed}.")
    for concern in found.concerns:
        click.echo(f"\n{click.style('!', fg='yellow')} {concern.problem}\n  {concern.remedy}")
