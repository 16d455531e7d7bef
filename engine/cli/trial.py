"""The commands that make Schoolbell be seen without a school: `demo`, `phones` and `sis`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from engine.config import load
from engine.trial.demo.demonstrate import demonstrate
from engine.trial.demo.ringing import Ringing
from engine.trial.demo.world import FEWEST
from engine.trial.phones.catalogue import sentences
from engine.trial.phones.faults import read_fault
from engine.trial.phones.phones import Behaviour, run_phones
from engine.trial.reference.create import create_sis
from engine.trial.reference.populate import FEWEST_STUDENTS


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
@click.option("--web-push-port", default=8443, show_default=True, help="0 takes a free one.")
@click.option("--control-port", default=8440, show_default=True, help="0 takes a free one.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Misbehave, like 'fcm UNAVAILABLE share=0.1 seconds=60 retry_after=30'. May be repeated.",
)
@click.option(
    "--fcm-a-minute",
    type=click.IntRange(min=1),
    help="How many requests a minute FCM takes from the project. [default: any number]",
)
@click.option(
    "--fcm-a-minute-to-a-device",
    type=click.IntRange(min=1),
    help="How many requests a minute FCM takes for one phone. [default: any number]",
)
@click.option("--list-faults", is_flag=True, help="Show every fault, and end.")
def phones(
    folder: Path,
    fcm_port: int,
    apns_port: int,
    web_push_port: int,
    control_port: int,
    faults: tuple[str, ...],
    fcm_a_minute: int | None,
    fcm_a_minute_to_a_device: int | None,
    list_faults: bool,
) -> None:
    """Run a local FCM, APNs and Web Push, and a page that shows every phone, until Ctrl-C.

    With --fault they misbehave, to try a sender on. A fault is a gateway (fcm, apns, web_push, or
    oauth for Google's token endpoint), a name from --list-faults, and which requests it strikes:
    those with token=…, a share=0.1 of them (another seed=1 takes others), the next count=5, those
    within seconds=60. Some take retry_after=30 (or date:30 for an HTTP date, or any text),
    timestamp=… (in milliseconds, for a 410) or delay=2.5 (in seconds, for slow). While the phones
    run, POST /api/faults on the control port takes the same as JSON.
    """
    if list_faults:
        _show_catalogue()
        return
    ringing = Ringing()
    run_phones(
        folder,
        fcm_port,
        apns_port,
        control_port,
        ringing.rang,
        ringing.ready,
        Behaviour(fcm_a_minute=fcm_a_minute, fcm_a_minute_to_a_device=fcm_a_minute_to_a_device),
        [read_fault(text) for text in faults],
        web_push_port=web_push_port,
    )


def _show_catalogue() -> None:
    for gateway, known in sentences().items():
        width = max(map(len, known))
        click.echo(f"{gateway}:")
        for name, sentence in known.items():
            click.echo(f"  {name:{width}}  {sentence}")


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
    made = create_sis(url, students)
    sample = made.sample
    click.echo(f"{made.database} holds a school district with {students} students.")
    click.echo(
        f"Student {sample.ada_id} is Ada Reyes; person {sample.mother_id} is her mother, "
        f"{sample.father_id} her father."
    )
    click.echo("To connect it: its URL as url in [source], then `schoolbell install`.")
