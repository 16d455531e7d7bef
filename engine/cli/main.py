"""The command `schoolbell`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from engine.cli import privacy, show, trial
from engine.cli.command import with_district, with_installation
from engine.cli.doctor import doctor
from engine.cli.hub_setup import channel
from engine.errors import SchoolbellError
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.runtime.installation import Installation
from engine.runtime.stage import STAGES
from engine.runtime.worker import spare_the_collector, stop_on_signals
from engine.services import parked, settings, why
from engine.services.install import install
from engine.services.run import run
from engine.services.status import look
from engine.sources import capture, outbox
from engine.store import app
from engine.wire.messages import Token
from rules.audience import Audience
from rules.change import ChangeId, Kind, PersonId, SchoolId, StudentId

KIND = click.Choice([kind.value for kind in Kind])


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file. [default: SCHOOLBELL_CONFIG, else ./schoolbell.toml]",
)
@click.version_option(package_name="schoolbell")
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Change notifications for school information systems.

    A row committed in the SIS becomes a push on the right phones. `schoolbell demo` shows it;
    `schoolbell install` and `schoolbell run` do it for real.
    """
    context.obj = config


@cli.command("install")
@with_installation
def install_(installation: Installation) -> None:
    """Make tables, triggers and queues, and read the directory. Safe to run again.

    At a hub: check the queues of each district.
    """
    for done in install(installation):
        click.echo(done)


@cli.command("run")
@click.argument("stage", required=False, type=click.Choice(STAGES))
@with_installation
def run_(installation: Installation, stage: str | None) -> None:
    """Run the engine, or one STAGE of it, until Ctrl-C or SIGTERM."""
    stop = stop_on_signals()
    spare_the_collector()
    run(installation, stage, click.get_current_context().obj, stop)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@with_installation
def status(installation: Installation, as_json: bool) -> None:
    """Show capture, queues, lag, outcomes and the last errors. Exits 1 when something is wrong."""
    now = utc_now()
    found = look(installation, now)
    if as_json:
        click.echo(msgspec.json.encode(asdict(found), enc_hook=str))
    else:
        show.status(found, now)
    if not found.healthy:
        sys.exit(1)


@cli.command("why")
@click.option("--student", required=True, help="The student's id in the SIS.")
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option("--change", help="One change; without it the newest, and how things stand now.")
@click.option("--last", default=5, show_default=True, help="How many decisions to show.")
@with_district
def why_(district: District, student: str, person: str, change: str | None, last: int) -> None:
    """Say why a person did, or did not, hear about a student: gate by gate."""
    who = StudentId(student), PersonId(person)
    now = utc_now()
    with district.database.read() as connection:
        if change:
            show.answer(why.of_change(connection, *who, ChangeId(change)))
            return
        answers = why.decided(connection, *who, limit=last)
        today = district.today(now)
        standing = why.standing(connection, *who, now, today)
    show.answers(answers, standing)


@cli.command()
@with_district
def enable(district: District) -> None:
    """Switch push notifications on for the whole district, at once."""
    settings.enable(district.database)
    click.echo("Push notifications are on for the whole district.")


@cli.command()
@with_district
def disable(district: District) -> None:
    """Switch push notifications off for the whole district, at once."""
    settings.disable(district.database)
    click.echo("Push notifications are off for the whole district.")


@cli.command("food-service")
@click.argument("offered", type=click.Choice(["on", "off"]))
@with_district
def food_service(district: District, offered: str) -> None:
    """Say whether the district has food service, and so meal balances."""
    settings.set_food_service(district.database, offered=offered == "on")
    click.echo(f"Food service is {offered}.")


@cli.command("display-option")
@click.option("--school", required=True, help="The school's id in the SIS.")
@click.option("--kind", required=True, type=KIND, help="The kind of change that the tool shows.")
@click.option(
    "--audience",
    required=True,
    type=click.Choice([one.value for one in Audience]),
    help="Whom the tool is shown to.",
)
@click.argument("shown", type=click.Choice(["show", "hide"]))
@with_district
def display_option(district: District, school: str, kind: str, audience: str, shown: str) -> None:
    """Show or hide a tool to an audience at one school; what is hidden is not pushed."""
    settings.set_display_option(
        district.database, SchoolId(school), Kind(kind), Audience(audience), shown=shown == "show"
    )
    verb = "shows" if shown == "show" else "hides"
    click.echo(f"School {school} {verb} {kind} to the audience {audience}.")


@cli.command("sign-in")
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["fcm_token", "fcm_fid", "apns"]),
    help="Whose address it is: Google's, by token or installation, or Apple's.",
)
@click.option("--token", required=True, help="The device's address, from the app.")
@click.option("--stay/--no-stay", default=True, show_default=True, help="Stay Logged In.")
@click.option(
    "--push-key",
    type=privacy.PUSH_KEY,
    help="32 bytes in base64, with which the app opens what is sealed for it.",
)
@with_district
def sign_in(
    district: District, person: str, kind: Any, token: str, stay: bool, push_key: bytes | None
) -> None:
    """Register a person's device, as the app does when somebody signs in."""
    with district.database.write() as connection:
        device = app.sign_in(
            connection, district.keyring, PersonId(person), Token(kind, token), utc_now(),
            push_key=push_key, stay_logged_in=stay,
        )  # fmt: skip
    click.echo(f"Person {person} is signed in on device {device}.")


@cli.command()
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option("--student", required=True, help="The student's id in the SIS.")
@click.option("--kind", required=True, type=KIND, help="The kind of change to hear of.")
@click.option("--below", type=Decimal, help="Only when the value falls below this (%, or dollars).")
@click.option("--on/--off", default=True, show_default=True, help="Hear of it, or not.")
@with_district
def subscribe(
    district: District, person: str, student: str, kind: str, below: Decimal | None, on: bool
) -> None:
    """Choose what a person hears about a student, as the app does."""
    with district.database.write() as connection:
        app.subscribe(
            connection, PersonId(person), StudentId(student), Kind(kind),
            enabled=on, threshold=below,
        )  # fmt: skip
    limit = f", below {below}" if below is not None else ""
    click.echo(f"Person {person} {'hears' if on else 'does not hear'} of {kind}{limit}.")


@cli.command()
@click.option("--shrink", is_flag=True, help="Accept a source that lists less than half.")
@with_district
def sync(district: District, shrink: bool) -> None:
    """Read the whole directory again from the SIS."""
    counted = district.sync_directory(may_shrink=shrink)
    click.echo("The directory lists " + ", ".join(f"{n} {name}" for name, n in counted.items()))


@cli.group("capture")
def capture_() -> None:
    """Put triggers on the watched tables of the SIS, check them, take them away."""


@capture_.command("install")
@with_district
def capture_install(district: District) -> None:
    """Make the outbox and the triggers that are missing or outdated."""
    show.findings(capture.install(district.source.database, district.source.definition))


@capture_.command("check")
@with_district
def capture_check(district: District) -> None:
    """Say for each table whether capture is in place, and what it would miss."""
    found = capture.check(district.source.database, district.source.definition)
    show.findings(found)
    if not all(finding.in_place for finding in found):
        sys.exit(1)


@capture_.command("remove")
@click.confirmation_option(prompt="Changes that are not relayed yet are lost. Go on?")
@with_district
def capture_remove(district: District) -> None:
    """Take away every trigger of Schoolbell, and the outbox."""
    removed = capture.remove(district.source.database)
    click.echo(f"Removed {len(removed)} triggers and the outbox.")


@cli.group("parked")
def parked_() -> None:
    """Look at changes and messages that could not be processed, and try them again."""


@parked_.command("list")
@with_installation
def parked_list(installation: Installation) -> None:
    """List parked changes and dead-lettered messages with what is wrong."""
    show.parked(parked.look(installation))


@parked_.command("retry")
@with_installation
def parked_retry(installation: Installation) -> None:
    """Try all of them again."""
    again = parked.retry(installation)
    click.echo(f"{again.changes} changes and {again.messages} messages are on their way again.")


@cli.command()
@click.option("--since", required=True, type=click.DateTime(), help="UTC, like 2026-11-22T08:00:00")
@with_district
def replay(district: District, since: datetime) -> None:
    """Relay again what was captured since a moment, after a broker was lost.

    What was evaluated already has no effect again.
    """
    count = outbox.replay(district.source.database, since.replace(tzinfo=utc_now().tzinfo))
    click.echo(f"{count} captured changes will be relayed again.")


cli.add_command(trial.demo)
cli.add_command(trial.phones)
cli.add_command(trial.sis)
cli.add_command(channel)
cli.add_command(doctor)
for added in privacy.COMMANDS:
    cli.add_command(added)


def _complain(error: SchoolbellError) -> None:
    click.secho(f"Error: {error.problem}", fg="red", err=True)
    click.echo(f"What to do: {error.remedy}", err=True)


def main() -> None:
    """Run the command; a known error is shown as its problem and its remedy, and exits 2."""
    try:
        cli.main(standalone_mode=True)
    except SchoolbellError as error:
        _complain(error)
        sys.exit(2)


if __name__ == "__main__":
    main()
