"""What one sees of the demonstration. Only a real terminal gets colours and things that move."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text as Words

from engine.trial.demo import cast
from engine.trial.demo.acts import Act
from engine.trial.demo.expected import Difference, Text
from engine.trial.demo.quiet import Remaining

YES, NO = Words("✓", "green"), Words("✗", "red")
MARK: Final = 1
TIME: Final = len("08:05")
PHONE: Final = max(map(len, cast.PHONES)) + 2  # people of the crowd have long numbers
FILE_WIDTH: Final = 110
SCREEN_WIDTH: Final = 37
CROWDED: Final = 3  # that many texts of the crowd are shown, the others counted
MOST_DIFFERENT: Final = 20


class Terminal:
    """Writes to standard output, in the order of the day."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _standard_output()
        self._status: Status | None = None
        self._acts = 0
        self._others = 0

    # --- headings and set-up -------------------------------------------------------------------

    def heading(self, words: str) -> None:
        """The title of a part."""
        self._console.print()
        self._console.print(Words(words, "bold"))
        self._console.print()

    def line(self, words: str = "", style: str = "") -> None:
        """One line, wrapped where it must be."""
        self._console.print(Words(words, style))

    def command(self, words: str) -> None:
        """A command to copy: never cut nor wrapped."""
        self._console.print(Words(f"  {words}", "cyan"), soft_wrap=True)

    def done(self, words: str) -> None:
        """A step that is done."""
        self._row(YES, Words(words), first=MARK)

    @contextmanager
    def at_work(self, words: str) -> Iterator[None]:
        """Something that turns while the block runs, in a real terminal."""
        with self._console.status(words) as self._status:
            yield
        self._status = None

    def wait(self, words: str, seconds: float) -> None:
        """Let *seconds* pass."""
        self._turn(words)
        time.sleep(seconds)

    # --- the acts ------------------------------------------------------------------------------

    def begin(self, act: Act) -> None:
        """Say what happens now."""
        if self._acts:
            self._console.print()
        self._acts += 1
        self._others = 0
        self._row(Words(act.time, "bold"), Words(act.story, "bold"), first=TIME)

    def under_way(self, left: Remaining) -> None:
        """Say what is on its way."""
        self._turn(f"{left.rows} changes and {left.pushes} pushes are on their way")

    def arrived(self, phone: str, words: Text) -> None:
        """Show a text that has just come; of many to the crowd, a few."""
        if phone not in cast.PHONES:
            self._others += 1
            if self._others > CROWDED:
                return
        said = Words.assemble((words.title, "bold"), "  ", words.body)
        self._row("", Words(phone, "cyan"), said, first=TIME, second=PHONE)

    def rang(self, phone: str, words: Text) -> None:
        """Show a text that came after the day."""
        self._others = 0
        self.arrived(phone, words)

    def end(
        self, act: Act, came: Mapping[str, Sequence[Text]], differences: Sequence[Difference]
    ) -> None:
        """Say what came of the act, and whether that is right."""
        self._turn("")
        if self._others > CROWDED:
            self._below(f"... and {self._others - CROWDED:,} more texts", "cyan")
        if act.silence:
            self._below(act.silence)
        if differences:
            self._below(f"✗ not as written, on {counted(len(differences), 'phone')}", "red")
        else:
            self._below(f"✓ {_rang(sum(map(len, came.values())), len(came))}", "green")

    def _below(self, words: str, style: str = "") -> None:
        self._row("", Words(words, style), first=TIME)

    # --- what is left at the end ---------------------------------------------------------------

    def phones(self, screens: Mapping[str, Sequence[Text]]) -> None:
        """Draw phones with what they show, in rows as wide as the terminal."""
        names = list(screens)
        across = max(1, self._console.width // (SCREEN_WIDTH + 1))
        for start in range(0, len(names), across):
            row = names[start : start + across]
            drawn = [_inside(screens[name]) for name in row]
            height = max(self._height(one) for one in drawn) + 2
            grid = Table.grid(padding=(0, 1, 0, 0))
            grid.add_row(*(_phone(name, one, height) for name, one in zip(row, drawn, strict=True)))
            self._console.print(grid)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str | Words]]) -> None:
        """A table with a heading line."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names with their values."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self._row(Words(name), Words(value, "bold"), first=width)

    def differences(self, found: Sequence[tuple[str, Difference]]) -> None:
        """Each phone that is not as written, with what is missing and what is too much."""
        for when, one in found[:MOST_DIFFERENT]:
            self._console.print(Words(f"{one.phone}, {when}", "bold"))
            for words in one.missing:
                self._row(Words("  missing", "red"), Words(str(words)), first=12)
            for words in one.unexpected:
                self._row(Words("  unexpected", "red"), Words(str(words)), first=12)
        if len(found) > MOST_DIFFERENT:
            self.line(f"... and {len(found) - MOST_DIFFERENT:,} more", "red")

    def verdict(self, words: str, *, good: bool) -> None:
        """The last word."""
        self._row(
            YES if good else NO, Words(words, "bold green" if good else "bold red"), first=MARK
        )

    def _height(self, inside: RenderableType) -> int:
        options = self._console.options.update(width=SCREEN_WIDTH - 4)
        return len(self._console.render_lines(inside, options))

    def _turn(self, words: str) -> None:
        if self._status:
            self._status.update(words)

    def _row(self, *cells: RenderableType, first: int, second: int | None = None) -> None:
        """Cells beside one another, two blanks between them; each wraps within itself."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        for width in (first, second, None)[: len(cells) - 1]:
            grid.add_column(width=width)
        grid.add_column(overflow="fold")
        grid.add_row(*cells)
        self._console.print(grid)


def _standard_output() -> Console:
    """What is no terminal has no width of its own."""
    width = None if sys.stdout.isatty() else FILE_WIDTH
    return Console(highlight=False, emoji=False, markup=False, width=width)


def counted(number: int, noun: str) -> str:
    """1 phone, 2 phones."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def milliseconds(time_: timedelta) -> str:
    """87 ms."""
    return f"{time_ / timedelta(milliseconds=1):,.0f} ms"


def _rang(texts: int, phones: int) -> str:
    if not texts:
        return "no phone rang, as it should be"
    return f"{counted(texts, 'text')} on {counted(phones, 'phone')}, as it should be"


def _inside(texts: Sequence[Text]) -> Group:
    """The notifications of a phone, the newest on top."""
    parts: list[Words] = []
    for words in reversed(texts):
        parts += (Words(words.title, "bold"), Words(words.body), Words())
    return Group(*parts[:-1]) if parts else Group(Words("nothing", "dim"))


def _phone(name: str, inside: Group, height: int) -> Panel:
    return Panel(
        inside, title=name, subtitle="●", box=ROUNDED, width=SCREEN_WIDTH, height=height,
        border_style="bright_black",
    )  # fmt: skip
