"""What more than one command lets people choose from."""

from __future__ import annotations

from typing import Final

import click

from rules.change import Kind
from rules.privacy import Level

KIND: Final = click.Choice([kind.value for kind in Kind])
LEVEL: Final = click.Choice([level.value for level in Level])
MAY_SHOW: Final = {
    Level.GENERIC: "that there is something to read, and nothing else",
    Level.NAMED: "the student's first name and the kind of news, without any value",
    Level.FULL: "the whole text: first names, courses, scores, grades, absences, balances",
}
