"""A command starts at once: what it does not need is not imported."""

import subprocess
import sys

import click
import pytest

from engine.cli.main import COMMANDS, cli
from tests.engine.cli.commands import Bell

HEAVY = (
    *("sqlalchemy", "psycopg", "alembic", "pika", "pycurl", "pyfcm", "requests", "cryptography"),
    *("jinja2", "apscheduler", "pydantic", "structlog", "rich", "regex", "h2"),
)
NEEDED_BY_ALL = {"sqlalchemy", "pydantic"}
SHOW_IMPORTED = """
import sys
from engine.cli.main import cli
cli.main(sys.argv[1:], standalone_mode=False)
print(*sys.modules, file=sys.stderr)
"""


def imported(*words: str) -> set[str]:
    """What is imported when a command has been run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTED, *words], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_the_help_needs_no_library_but_clicks_own() -> None:
    assert imported("--help").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("command", "not_needed"),
    [
        ("enable", {*HEAVY} - NEEDED_BY_ALL),
        ("food-service on", {*HEAVY} - NEEDED_BY_ALL),
        ("status", {*HEAVY} - NEEDED_BY_ALL),
        ("capture check", {*HEAVY} - NEEDED_BY_ALL),
        ("parked list", {*HEAVY} - NEEDED_BY_ALL),
        ("inbox --person 101", {*HEAVY} - NEEDED_BY_ALL - {"jinja2"}),
        ("sync", {*HEAVY} - NEEDED_BY_ALL - {"structlog", "rich"}),
    ],
)
def test_a_command_imports_what_it_needs(
    tmp_path_factory: pytest.TempPathFactory, command: str, not_needed: set[str]
) -> None:
    bell = Bell.installed(tmp_path_factory.mktemp("bell"))

    assert imported("--config", str(bell.config_file), *command.split()).isdisjoint(not_needed)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_sentence_in_the_list_is_the_first_of_the_commands_own_help(name: str) -> None:
    command = COMMANDS[name].load()

    assert (command.name, command.get_short_help_str(limit=200)) == (name, COMMANDS[name].help)


def test_a_word_that_is_no_command_is_refused() -> None:
    with pytest.raises(click.UsageError, match="No such command 'ennable'"):
        cli.main(["ennable"], standalone_mode=False)
