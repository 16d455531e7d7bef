"""The command `schoolbell`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from engine.cli.lazy import LazyCommand, LazyGroup
from engine.errors import SchoolbellError

COMMANDS: Final = {
    "demo": LazyCommand(
        "engine.cli.trial", "demo", "Play a school day and see the right phones ring."
    ),
    "phones": LazyCommand(
        "engine.cli.trial",
        "phones",
        "Run a local FCM, APNs and Web Push, and a page that shows every phone, until Ctrl-C.",
    ),
    "sis": LazyCommand(
        "engine.cli.trial", "sis", "Make a reference SIS: a school database to try Schoolbell on."
    ),
    "install": LazyCommand(
        "engine.cli.run", "install_", "Make tables, triggers and queues, and read the directory."
    ),
    "run": LazyCommand(
        "engine.cli.run",
        "run_",
        "Run the engine and the portal, or one STAGE of it, until Ctrl-C or SIGTERM.",
    ),
    "status": LazyCommand(
        "engine.cli.status", "status", "Show capture, queues, lag, outcomes and the alarms."
    ),
    "doctor": LazyCommand(
        "engine.cli.doctor",
        "doctor",
        "Find the broken hop between the SIS and the phones, and who can mend it.",
    ),
    "inbox": LazyCommand(
        "engine.cli.inbox", "inbox_", "Show what a person was told, newest first."
    ),
    "why": LazyCommand(
        "engine.cli.why", "why_", "Say why a person did, or did not, hear about a student."
    ),
    "enable": LazyCommand(
        "engine.cli.settings", "enable", "Switch push notifications on for the whole district."
    ),
    "disable": LazyCommand(
        "engine.cli.settings", "disable", "Switch push notifications off for the whole district."
    ),
    "food-service": LazyCommand(
        "engine.cli.settings",
        "food_service",
        "Say whether the district has food service, and so meal balances.",
    ),
    "youngest-student": LazyCommand(
        "engine.cli.settings",
        "youngest_student",
        "Say from how many YEARS on students sign in by themselves; 0 is any age.",
    ),
    "display-option": LazyCommand(
        "engine.cli.settings",
        "display_option",
        "Show or hide a tool to an audience at one school.",
    ),
    "privacy": LazyCommand(
        "engine.cli.settings",
        "privacy",
        "Say what notifications may show in this district: generic, named or full.",
    ),
    "end-to-end": LazyCommand(
        "engine.cli.settings",
        "end_to_end",
        "Seal texts for the phone, so that nobody on the way can read them.",
    ),
    "sign-in": LazyCommand(
        "engine.cli.people",
        "sign_in",
        "Register a person's device, as the app does when somebody signs in.",
    ),
    "sign-out": LazyCommand(
        "engine.cli.people", "sign_out", "End a person's session on a device, as the app does."
    ),
    "subscribe": LazyCommand(
        "engine.cli.people",
        "subscribe",
        "Choose what a person hears about a student, as the app does.",
    ),
    "device": LazyCommand("engine.cli.people", "device_", "What a person chooses for one device."),
    "people": LazyCommand(
        "engine.cli.families",
        "people_",
        "Accounts of families: parents and students who sign in.",
    ),
    "staff": LazyCommand(
        "engine.cli.staff", "staff_", "Accounts of those who use the portal in a browser."
    ),
    "sync": LazyCommand(
        "engine.cli.directory", "sync", "Read the whole directory again from the SIS."
    ),
    "source": LazyCommand(
        "engine.cli.source",
        "source",
        "Draft the definition of a SIS and try it; go on with another database of the SIS.",
    ),
    "capture": LazyCommand(
        "engine.cli.capture",
        "capture_",
        "Put triggers on the watched tables of the SIS, check them, take them away.",
    ),
    "parked": LazyCommand(
        "engine.cli.parked",
        "parked_",
        "Look at changes and messages that could not be processed, and try them again.",
    ),
    "replay": LazyCommand(
        "engine.cli.capture",
        "replay",
        "Relay again what was captured since a moment, after a broker was lost.",
    ),
    "keys": LazyCommand(
        "engine.cli.keys",
        "keys_",
        "The keys that encrypt device tokens in the database, and the key of Web Push.",
    ),
    "channel": LazyCommand(
        "engine.cli.hub_setup",
        "channel",
        "Write what the administrator of a hub's RabbitMQ applies.",
    ),
}


class _Schoolbell(LazyGroup):
    lazy = COMMANDS


@click.group(
    cls=_Schoolbell,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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


def main() -> None:
    """Run the command; an error is shown as its problem and its remedy, and exits 2."""
    _open_streams()
    # pydantic would look for plugins in every installed package: a tenth of a command's time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        _require_text(sys.argv[1:])
        cli.main(standalone_mode=True)
    except Exception as error:
        from engine.cli.complaints import complain

        complain(error)
        _give_up_output()
        sys.exit(2)


def _open_streams() -> None:
    """Have all three, whoever closed one, and show in some way what they cannot spell."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """What could not be written to a full disk is not tried again by Python at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_text(words: Sequence[str]) -> None:
    """Raise SchoolbellError for bytes that are no UTF-8: no name, id or path of ours has them."""
    for number, word in enumerate(words, 1):
        if not word.isascii() and any("\ud800" <= one <= "\udfff" for one in word):
            raise SchoolbellError(
                f"Argument {number} is not readable as text.", "Write it in UTF-8."
            )


if __name__ == "__main__":
    main()
