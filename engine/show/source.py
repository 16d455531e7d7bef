"""What a draft found, and what a definition would have told."""

from __future__ import annotations

from pathlib import Path

import click

from engine.services.source import Drafted


def show_drafted(drafted: Drafted, file: Path) -> None:
    """Which tables were taken for what, and what waits to be filled in."""
    for role, table in drafted.taken:
        mark = click.style("✓", fg="green") if table else click.style("·", fg="bright_black")
        click.echo(f"{mark} {role:<36} {table or 'no table looks like it'}")
    click.echo(f"\n{file} is written; read every line of it.")
    if drafted.waiting:
        click.echo("These lines wait to be filled in:")
        width = len(str(drafted.waiting[-1].line))
        for one in drafted.waiting:
            click.echo(f"  line {one.line:>{width}}  {one.what}")
    click.echo(f"Then: schoolbell source try --definition {file}")
