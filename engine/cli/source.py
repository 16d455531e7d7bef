"""The commands about a source definition that is in the making."""

from __future__ import annotations

from pathlib import Path

import click

from engine.config import load
from engine.errors import ConfigError
from engine.services import source as services
from engine.show.source import show_drafted


@click.group()
def source() -> None:
    """Draft the definition of a SIS that nobody here knows, and try it on real rows."""


@source.command("draft")
@click.option("--url", help="The SIS's database. [default: url in [source] of the configuration]")
@click.option("--schema", help="Look at this schema alone. [default: all that this user may read]")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this new file. [default: the terminal]",
)
@click.pass_obj
def source_draft(
    config: Path | None, url: str | None, schema: str | None, out: Path | None
) -> None:
    """Look at a database, and write the beginnings of a source definition.

    Nothing is written to the database, and no row of it to the file: only names, types, keys, and
    the values of flags and codes. What cannot be guessed is marked with FILL IN.
    """
    if out and out.exists():
        raise ConfigError(
            f"There is a file {out} already.", "Name another one, or move this one away."
        )
    drafted = services.draft(url or load(config).source_url, schema)
    if out is None:
        click.echo(drafted.text, nl=False)
        return
    out.write_text(drafted.text, "utf-8")
    show_drafted(drafted, out)
