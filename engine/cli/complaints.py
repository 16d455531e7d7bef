"""Errors as a person sees them: the problem and the remedy, never a traceback."""

from __future__ import annotations

import tempfile
import traceback

import click

from engine.errors import SchoolbellError
from engine.files import shown


def complain(error: Exception) -> None:
    """Say what is wrong and what to do, on standard error."""
    match error:
        case SchoolbellError():
            _say(error)
        case OSError():
            _say(_refused(error))
        case _ if module := _of_the_store(error):
            _say(_damaged(error, module))
        case _:
            _say(unforeseen(error))


def _say(error: SchoolbellError) -> None:
    click.secho(f"Error: {error.problem}", fg="red", err=True)
    click.echo(f"What to do: {error.remedy}", err=True)


def _refused(error: OSError) -> SchoolbellError:
    where = f": {shown(error.filename)}" if error.filename else ""
    return SchoolbellError(
        f"The system refuses what this command needs: {error.strerror or type(error).__name__}"
        f"{where}.",
        "Make room, or give this user the right to it, and run it again.",
    )


def _of_the_store(error: Exception) -> str:
    """The part of the store that could not make sense of a row; empty if it was something else."""
    names = [
        frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    return next((name for name in reversed(names) if name.startswith("engine.store.")), "")


def _damaged(error: Exception, module: str) -> SchoolbellError:
    return SchoolbellError(
        f"Schoolbell's database holds a row that this release cannot read ({module}).",
        "Restore the database from its backup, or mend the row, if somebody changed it by hand. "
        f"What was wrong with it is written down in {_kept(error)}, which only you can read.",
    )


def unforeseen(error: Exception) -> SchoolbellError:
    """A fault of ours, to be reported."""
    return SchoolbellError(
        f"Schoolbell met something that it was not made for ({type(error).__name__}).",
        f"Report it. Where it happened is written down in {_kept(error)}, which only you can read; "
        "look through it first, because it may hold names.",
    )


def _kept(error: Exception) -> str:
    """The file that holds what is needed to find a fault, which is not for the screen."""
    words = "".join(traceback.format_exception(error))
    try:
        number, name = tempfile.mkstemp(prefix="schoolbell-", suffix=".txt")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(words)
    except OSError:
        return "no file, because there was no room for one"
    return name
