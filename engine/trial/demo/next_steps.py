"""What to try next: commands that work as they stand."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from engine.dialects import DIALECTS
from engine.trial.demo.portal import SignIn
from engine.trial.demo.terminal import Terminal
from engine.trial.demo.world import World

_WAIT: Final = 0.2  # seconds between two looks for something new
_COLUMNS: Final = SignIn("", "who that is", "username", "password", "setup code")


def stay(world: World, terminal: Terminal) -> None:
    """Go on until Ctrl-C, and show what comes."""
    terminal.heading("It is your turn")
    terminal.line("The engine and the phones go on until you press Ctrl-C. The phones are at")
    terminal.command(world.phones.control_url)
    terminal.line("The portal for staff, where the district is switched on and off, is at")
    terminal.command(f"{world.administrator.url}/sign-in")
    _offer_roles(world, terminal)
    terminal.line("Be the teacher, in another terminal, and see it arrive here:")
    terminal.command(_write_by_hand(world))
    terminal.line("Ask how things are, and why somebody did not hear:")
    _offer_questions(world, terminal)
    terminal.line()
    try:
        while True:
            for phone, words in world.arrivals():
                terminal.rang(phone, words)
            terminal.wait("", _WAIT)
    except KeyboardInterrupt:
        terminal.line("\nThe engine and the phones stop.")


def invite(world: World, terminal: Terminal, keep: Path | None) -> None:
    terminal.heading("What to try next")
    if keep is None:
        terminal.line("Keep it all, and go on from there:")
        terminal.command(f"{_schoolbell()} demo --keep school")
        return
    terminal.line("Start the phones and the engine, each in a terminal of its own:")
    phones = world.phones
    terminal.command(
        f"{_schoolbell()} phones --folder {_quoted(world.folder / 'phones')} --fcm-port "
        f"{phones.fcm_port} --apns-port {phones.apns_port} --control-port {phones.control_port}"
    )
    terminal.command(_with_config(world, "run"))
    terminal.line(f"Open the page of the phones: {phones.control_url}")
    terminal.line(f"Be staff, in the portal: {world.administrator.url}/sign-in")
    _offer_roles(world, terminal)
    terminal.line("Be the teacher:")
    terminal.command(_write_by_hand(world))
    terminal.line("Ask how things are, and why somebody did not hear:")
    _offer_questions(world, terminal)
    terminal.line(f"The log of the day is in {world.log}.")


def _offer_questions(world: World, terminal: Terminal) -> None:
    student, person = world.school.students["Chidi"], world.school.people["Emeka"]
    terminal.command(_with_config(world, "status"))
    terminal.command(_with_config(world, f"why --student {student} --person {person}"))


def _offer_roles(world: World, terminal: Terminal) -> None:
    """Who may sign in, one to a line of a narrow terminal: a setup code is to be copied whole."""
    for one in (_COLUMNS, *world.staff):
        terminal.line(f"· {one.username:9}  {one.password:20}  {one.setup_code:14}  {one.role}")
    terminal.line("· The setup code is asked for with the first authenticator app or passkey.")


def _with_config(world: World, command: str) -> str:
    return f"{_schoolbell()} --config {_quoted(world.config_file)} {command}"


def _write_by_hand(world: World) -> str:
    """A score for Chidi: his phone rings, his father's does not."""
    work, student = world.school.work["Homework 5"], world.school.students["Chidi"]
    where = f"assignment_id = {work} AND student_id = {student}"
    statement = f"UPDATE score SET points = points + 0.5 WHERE {where}"  # noqa: S608 - to copy
    return DIALECTS[world.sis.dialect.name].by_hand(world.sis.url, statement)


def _quoted(value: object) -> str:
    return shlex.quote(str(value))


def _schoolbell() -> str:
    """The command as it was given."""
    given = Path(sys.argv[0])
    if given.suffix == ".py":
        return f"{sys.executable} -m engine.cli"
    return given.name if shutil.which(given.name) == str(given) else str(given)
