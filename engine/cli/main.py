"""The command `schoolbell`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from engine.cli import privacy, show, trial
from engine.cli.command import with_engine
from engine.cli.doctor import doctor
from engine.cli.hub_setup import channel
from engine.errors import ConfigError, SchoolbellError, Unavailable
from engine.runtime.district import DELIVER, STAGES, Engine, utc_now
from engine.runtime.worker import (
    run_stage,
    run_threads,
    spare_the_collector,
    stage_command,
    stop_on_signals,
    supervise,
)
from engine.services import hub, parked, why
from engine.services.status import look
from engine.sources import capture, outbox
from engine.store import app, district
from engine.telemetry import Event, emit
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


@cli.command()
@with_engine
def install(engine: Engine) -> None:
    """Make tables, triggers and queues, and read the directory. Safe to run again.

    At a hub: check the queues of each district.
    """
    if engine.is_hub:
        for done in hub.install(engine.brokers):
            click.echo(done)
        return
    for done in engine.install():
        click.echo(done)
    with engine.database.read() as connection:
        if not district.is_enabled(connection):
            click.echo("Push notifications are off: `schoolbell enable` switches them on.")


@cli.command()
@click.argument("stage", required=False, type=click.Choice(STAGES))
@with_engine
def run(engine: Engine, stage: str | None) -> None:
    """Run the engine, or one STAGE of it, until Ctrl-C or SIGTERM."""
    stop = stop_on_signals()
    spare_the_collector()
    _require_here(engine, stage)
    if engine.is_hub or stage == DELIVER:
        run_stage(DELIVER, engine.makers([DELIVER])[DELIVER], stop, lambda *_: None)
        return
    _require_installed(engine)
    _ = engine.wording
    emit(Event.ENGINE_STARTED, district=engine.config.district.id)
    with _exclusive(engine, stage):
        if stage:
            run_stage(stage, engine.makers([stage])[stage], stop, engine.report)
        elif engine.config.broker.embedded:
            run_threads(engine.makers(engine.stages), stop, engine.report)
        else:
            config = click.get_current_context().obj
            named = str(config) if config else None
            supervise({name: stage_command(name, named) for name in engine.stages}, stop)
    emit(Event.ENGINE_STOPPED, district=engine.config.district.id)


def _require_here(engine: Engine, stage: str | None) -> None:
    """Refuse a stage that runs on the other side of the broker."""
    if stage and stage not in engine.stages:
        where = "in each district" if engine.is_hub else "at the hub that [hub] url names"
        raise ConfigError(
            f"The stage {stage} runs {where}, not here.",
            f"Here run `schoolbell run` for: {', '.join(engine.stages)}.",
        )


def _require_installed(engine: Engine) -> None:
    """Refuse what a person must mend; a neighbour that is only away now may come back."""
    try:
        engine.require_installed()
    except Unavailable as error:
        emit(
            Event.ENGINE_WAITING, level=logging.WARNING,
            problem=error.problem, remedy=error.remedy,
        )  # fmt: skip


@contextmanager
def _exclusive(engine: Engine, stage: str | None) -> Iterator[None]:
    if not engine.config.broker.embedded:
        yield
    elif stage:
        raise ConfigError(
            "The embedded broker lives in one process, so a stage cannot run alone on it.",
            "Run `schoolbell run` without a stage, or set [broker] url to a RabbitMQ.",
        )
    else:
        with engine.alone():
            yield


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@with_engine
def status(engine: Engine, as_json: bool) -> None:
    """Show capture, queues, lag, outcomes and the last errors. Exits 1 when something is wrong."""
    if engine.is_hub:
        _hub_status(hub.look(engine.brokers), as_json=as_json)
        return
    found = look(engine, utc_now())
    if as_json:
        click.echo(msgspec.json.encode(asdict(found), enc_hook=str))
    else:
        show.status(found, utc_now())
    if not found.healthy:
        sys.exit(1)


def _hub_status(found: Sequence[hub.District], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode([asdict(one) for one in found], enc_hook=str))
    else:
        show.hub(found)
    if not all(one.healthy for one in found):
        sys.exit(1)


@cli.command("why")
@click.option("--student", required=True, help="The student's id in the SIS.")
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option("--change", help="One change; without it the newest, and how things stand now.")
@click.option("--last", default=5, show_default=True, help="How many decisions to show.")
@with_engine
def why_(engine: Engine, student: str, person: str, change: str | None, last: int) -> None:
    """Say why a person did, or did not, hear about a student: gate by gate."""
    who = StudentId(student), PersonId(person)
    now = utc_now()
    with engine.database.read() as connection:
        if change:
            show.answer(why.of_change(connection, *who, ChangeId(change)))
            return
        answers = why.decided(connection, *who, limit=last)
        today = engine.today(now)
        standing = why.standing(connection, *who, now, today)
    show.answers(answers, standing)


@cli.command()
@with_engine
def enable(engine: Engine) -> None:
    """Switch push notifications on for the whole district, at once."""
    _set_enabled(engine, enabled=True)


@cli.command()
@with_engine
def disable(engine: Engine) -> None:
    """Switch push notifications off for the whole district, at once."""
    _set_enabled(engine, enabled=False)


def _set_enabled(engine: Engine, *, enabled: bool) -> None:
    with engine.database.write() as connection:
        district.found(connection)
        district.set_enabled(connection, enabled=enabled)
    click.echo(f"Push notifications are {'on' if enabled else 'off'} for the whole district.")


@cli.command("food-service")
@click.argument("offered", type=click.Choice(["on", "off"]))
@with_engine
def food_service(engine: Engine, offered: str) -> None:
    """Say whether the district has food service, and so meal balances."""
    with engine.database.write() as connection:
        district.found(connection)
        district.set_food_service(connection, food_service=offered == "on")
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
@with_engine
def display_option(engine: Engine, school: str, kind: str, audience: str, shown: str) -> None:
    """Show or hide a tool to an audience at one school; what is hidden is not pushed."""
    with engine.database.write() as connection:
        district.set_display_option(
            connection, SchoolId(school), Kind(kind), Audience(audience), shown=shown == "show"
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
@with_engine
def sign_in(
    engine: Engine, person: str, kind: Any, token: str, stay: bool, push_key: bytes | None
) -> None:
    """Register a person's device, as the app does when somebody signs in."""
    with engine.database.write() as connection:
        device = app.sign_in(
            connection, engine.keyring, PersonId(person), Token(kind, token), utc_now(),
            push_key=push_key, stay_logged_in=stay,
        )  # fmt: skip
    click.echo(f"Person {person} is signed in on device {device}.")


@cli.command()
@click.option("--person", required=True, help="The person's id in the SIS.")
@click.option("--student", required=True, help="The student's id in the SIS.")
@click.option("--kind", required=True, type=KIND, help="The kind of change to hear of.")
@click.option("--below", type=Decimal, help="Only when the value falls below this (%, or dollars).")
@click.option("--on/--off", default=True, show_default=True, help="Hear of it, or not.")
@with_engine
def subscribe(
    engine: Engine, person: str, student: str, kind: str, below: Decimal | None, on: bool
) -> None:
    """Choose what a person hears about a student, as the app does."""
    with engine.database.write() as connection:
        app.subscribe(
            connection, PersonId(person), StudentId(student), Kind(kind),
            enabled=on, threshold=below,
        )  # fmt: skip
    limit = f", below {below}" if below is not None else ""
    click.echo(f"Person {person} {'hears' if on else 'does not hear'} of {kind}{limit}.")


@cli.command()
@click.option("--shrink", is_flag=True, help="Accept a source that lists less than half.")
@with_engine
def sync(engine: Engine, shrink: bool) -> None:
    """Read the whole directory again from the SIS."""
    counted = engine.sync_directory(may_shrink=shrink)
    click.echo("The directory lists " + ", ".join(f"{n} {name}" for name, n in counted.items()))


@cli.group("capture")
def capture_() -> None:
    """Put triggers on the watched tables of the SIS, check them, take them away."""


@capture_.command("install")
@with_engine
def capture_install(engine: Engine) -> None:
    """Make the outbox and the triggers that are missing or outdated."""
    show.findings(capture.install(engine.source.database, engine.source.definition))


@capture_.command("check")
@with_engine
def capture_check(engine: Engine) -> None:
    """Say for each table whether capture is in place, and what it would miss."""
    found = capture.check(engine.source.database, engine.source.definition)
    show.findings(found)
    if not all(finding.in_place for finding in found):
        sys.exit(1)


@capture_.command("remove")
@click.confirmation_option(prompt="Changes that are not relayed yet are lost. Go on?")
@with_engine
def capture_remove(engine: Engine) -> None:
    """Take away every trigger of Schoolbell, and the outbox."""
    removed = capture.remove(engine.source.database)
    click.echo(f"Removed {len(removed)} triggers and the outbox.")


@cli.group("parked")
def parked_() -> None:
    """Look at changes and messages that could not be processed, and try them again."""


@parked_.command("list")
@with_engine
def parked_list(engine: Engine) -> None:
    """List parked changes and dead-lettered messages with what is wrong."""
    if engine.is_hub:
        show.parked_at_hub(list(hub.parked(engine.brokers)))
        return
    show.parked(engine, parked.changes(engine))


@parked_.command("retry")
@with_engine
def parked_retry(engine: Engine) -> None:
    """Try all of them again."""
    if engine.is_hub:
        click.echo(f"{hub.retry(engine.brokers)} messages are on their way again.")
        return
    changes, messages = parked.retry(engine)
    click.echo(f"{changes} changes and {messages} messages are on their way again.")


@cli.command()
@click.option("--since", required=True, type=click.DateTime(), help="UTC, like 2026-11-22T08:00:00")
@with_engine
def replay(engine: Engine, since: datetime) -> None:
    """Relay again what was captured since a moment, after a broker was lost.

    What was evaluated already has no effect again.
    """
    count = outbox.replay(engine.source.database, since.replace(tzinfo=utc_now().tzinfo))
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
