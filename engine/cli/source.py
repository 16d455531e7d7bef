"""The commands about the source: a definition that is in the making, and another database."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from engine.cli.command import with_district
from engine.config import load
from engine.errors import ConfigError
from engine.runtime.district import District
from engine.services import changeover
from engine.services import source as services
from engine.show.source import show_drafted, show_part


@click.group()
def source() -> None:
    """Draft the definition of a SIS and try it; go on with another database of the SIS."""


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


@source.command("try")
@click.option(
    "--definition", help="A bundled definition or a file. [default: definition in [source]]"
)
@click.option("--url", help="The SIS's database. [default: url in [source] of the configuration]")
@click.option("--watch", "watches", multiple=True, help="Only this watch. May be repeated.")
@click.option(
    "--last", type=click.IntRange(1, 1000), default=5, show_default=True, help="Rows of each watch."
)
@click.option("--names", is_flag=True, help="Show names of students and people.")
@click.pass_obj
def source_try(
    config: Path | None,
    definition: str | None,
    url: str | None,
    watches: tuple[str, ...],
    last: int,
    names: bool,
) -> None:
    """Take real, recent rows, and show what families would have been told of them.

    It is decided as the engine decides, as if everybody were signed in and had switched everything
    on. Nothing is sent or installed, and nothing is written to a database, so it works before
    `schoolbell install`. Exits 1 when rows cannot be decided or read, or a query needs an index.
    """
    settings = load(config)
    is_well = True
    for part in services.attempt(
        settings, watches, last, definition=definition, url=url, names=names
    ):
        show_part(part)
        is_well = is_well and services.is_well(part)
    if not is_well:
        sys.exit(1)


@source.command("change")
@click.option(
    "--records",
    type=click.Choice(["new", "same"]),
    required=True,
    help="`new`: it is another database, as of a new school year. `same`: the SIS only moved.",
)
@click.option("--shrink", is_flag=True, help="Accept a database that lists less than half.")
@with_district
def source_change(district: District, records: str, shrink: bool) -> None:
    """Go on with the database that [source] url names now, in place of the one before.

    Settings, sign-ins and devices stay, and nobody is told of what the database holds already. Stop
    the engine first. With `new` a record is another one than that which had its id before; what the
    old database has captured and is not evaluated yet is left.
    """
    steps = changeover.change(district, same_records=records == "same", may_shrink=shrink)
    for step in steps:
        click.echo(step)
