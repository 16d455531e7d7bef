"""The commands that make Schoolbell be seen without a school: `demo`, `phones` and `sis`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from engine.config import load
from engine.database import Database
from engine.demo.demonstrate import demonstrate
from engine.demo.ringing import Ringing
from engine.demo.world import FEWEST, require_empty
from engine.phones.phones import run_phones
from engine.sources.reference.create import create
from engine.sources.reference.populate import FEWEST_STUDENTS, populate


@click.command()
@click.option(
    "--students",
    type=click.IntRange(min=FEWEST),
    default=200,
    show_default=True,
    help="How many students the district has.",
)
@click.option("--brief", is_flag=True, help="Without pauses; ends by itself.")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Play in these databases and on this broker; all must be empty. [default: embedded]",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make everything in this folder, and keep it.",
)
@click.pass_context
def demo(
    context: click.Context, students: int, brief: bool, config: Path | None, keep: Path | None
) -> None:
    """Play a school day and see the right phones ring.

    Exits 1 when a phone does not show what it should. In a terminal, and without --brief, the
    engine and the phones go on afterwards, until Ctrl-C.
    """
    chosen = config or context.obj
    stays = sys.stdout.isatty() and not brief
    with _ending_on_sigterm():
        as_written = demonstrate(
            keep, load(chosen) if chosen else None, students, brief=brief, stays=stays
        )
    if not as_written:
        sys.exit(1)


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the block like Ctrl-C does: what was started is stopped first."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("phones"),
    show_default=True,
    help="Where the keys and certificates are, made when missing.",
)
@click.option("--fcm-port", default=8441, show_default=True, help="0 takes a free one.")
@click.option("--apns-port", default=8442, show_default=True, help="0 takes a free one.")
@click.option("--control-port", default=8440, show_default=True, help="0 takes a free one.")
def phones(folder: Path, fcm_port: int, apns_port: int, control_port: int) -> None:
    """Run a local FCM and APNs with a page that shows every phone, until Ctrl-C."""
    ringing = Ringing()
    run_phones(folder, fcm_port, apns_port, control_port, ringing.rang, ringing.ready)


@click.group()
def sis() -> None:
    """Make a reference SIS: a school database to try Schoolbell on."""


@sis.command("create")
@click.option("--url", required=True, help="An empty database, like sqlite:///sis.db.")
@click.option(
    "--students",
    type=click.IntRange(min=FEWEST_STUDENTS),
    default=600,
    show_default=True,
    help="How many students the district has.",
)
def sis_create(url: str, students: int) -> None:
    """Create the tables of the reference SIS and fill them with a district."""
    database = Database(url)
    try:
        require_empty(database, "Name an empty one: this fills it.")
        create(database.engine)
        with database.write() as connection:
            sample = populate(connection, students)
    finally:
        database.close()
    click.echo(f"{database.name} holds a school district with {students} students.")
    click.echo(
        f"Student {sample.ada_id} is Ada Reyes; person {sample.mother_id} is her mother, "
        f"{sample.father_id} her father."
    )
    click.echo("To connect it: its URL as url in [source], then `schoolbell install`.")
