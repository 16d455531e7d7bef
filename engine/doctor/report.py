"""How a walk of the doctor looks in a terminal."""

from __future__ import annotations

import textwrap
from typing import Final

import click

from engine.doctor.diagnosis import Diagnosis, State

_MARKS: Final = {
    State.OK: ("✓", "green"),
    State.BROKEN: ("✗", "red"),
    State.UNUSED: ("·", "bright_black"),
}
_WIDTH: Final = 96
_COLUMN: Final = 22
_INDENT: Final = "    "


def hop(diagnosis: Diagnosis) -> None:
    """One line, and one more for what is well now and soon will not be."""
    mark, colour = _MARKS[diagnosis.state]
    found = diagnosis.found
    if diagnosis.state is State.UNUSED:
        found = f"{State.UNUSED}: {found}"
    _line(click.style(mark, fg=colour), diagnosis.hop, found)
    if diagnosis.note:
        _line(click.style("!", fg="yellow"), "", diagnosis.note)


def explanation(diagnosis: Diagnosis) -> None:
    """What a broken hop means, who can mend it and how, and what to tell the firewall's people."""
    _paragraph("What it means", diagnosis.meaning)
    _paragraph("Who can mend it", f"{diagnosis.who[0].upper()}{diagnosis.who[1:]}.")
    _paragraph("What to do", diagnosis.remedy)
    if diagnosis.firewall is not None:
        _paragraph("For the firewall's administrator", diagnosis.firewall.request())


def _line(mark: str, name: str, words: str) -> None:
    first, *others = _wrapped(words, _WIDTH - _COLUMN)
    click.echo(f"{mark} {name:<{_COLUMN - 3}} {first}")
    for line in others:
        click.echo(f"{'':<{_COLUMN}}{line}")


def _paragraph(title: str, words: str) -> None:
    click.echo(f"\n{click.style(title, bold=True)}")
    click.echo("\n".join(_INDENT + line for line in _wrapped(words, _WIDTH - len(_INDENT))))


def _wrapped(words: str, width: int) -> list[str]:
    """Lines in which a path or an address stays whole, to be copied."""
    return textwrap.wrap(words, width, break_on_hyphens=False, break_long_words=False) or [""]
