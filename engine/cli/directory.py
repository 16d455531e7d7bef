"""The command about the directory."""

from __future__ import annotations

import click

from engine.cli.command import with_district
from engine.runtime.district import District
from engine.services import changeover, directory


@click.command()
@click.option("--shrink", is_flag=True, help="Accept a source that lists less than half.")
@with_district
def sync(district: District, shrink: bool) -> None:
    """Read the whole directory again from the SIS."""
    changeover.require_same(district)
    for line in directory.sentences(directory.sync(district.directory, may_shrink=shrink)):
        click.echo(line)
