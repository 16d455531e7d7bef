"""Commands that are imported when they are run: `schoolbell --help` imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import click


class LazyCommand(NamedTuple):
    """Where a command is, and the first sentence of its help."""

    module: str
    attribute: str
    help: str

    def load(self) -> click.Command:
        """Import it."""
        command: click.Command = getattr(import_module(self.module), self.attribute)
        return command


class LazyGroup(click.Group):
    """A group whose commands are named in a table."""

    lazy: Mapping[str, LazyCommand] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table: as one needs them."""
        del ctx
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None where there is none of this name."""
        del ctx
        found = self.lazy.get(cmd_name)
        return found.load() if found else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List every command with its sentence, without importing it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.help) for name, one in self.lazy.items()])
