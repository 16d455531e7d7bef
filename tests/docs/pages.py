"""The pages for readers, as the checks see them: links, headings, code and commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"`([^`\n]+(?:\n[^`\n]+)*)`")
_LINK: Final = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_CONTINUED: Final = re.compile(r" *\\\n\s*")
_PROMPT: Final = "$ "


class Shown(NamedTuple):
    """A command line of ours on a page, without the word `schoolbell`."""

    words: tuple[str, ...]
    is_whole: bool  # False within a sentence, which may leave out what a command needs


def name_of(page: Path) -> str:
    """The page's path as readers of the repository know it."""
    return str(page.relative_to(ROOT))


def links(text: str) -> list[str]:
    """The targets of the links of a page, in their order."""
    return _LINK.findall(_SPAN.sub("`", _FENCE.sub("", text)))


def anchors(text: str) -> set[str]:
    """What a link to a heading of this page may name after `#`, as GitHub forms it."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        anchor = _anchor(heading)
        further = (f"{anchor}-{number}" for number in range(1, 100))
        found.add(anchor if anchor not in found else next(a for a in further if a not in found))
    return found


def spans(text: str) -> list[str]:
    """What stands in `code` within sentences and tables, on one line each."""
    return [" ".join(span.split()) for span in _SPAN.findall(_FENCE.sub("", text))]


def commands(text: str) -> Iterator[Shown]:
    """Each command line that begins with `schoolbell`."""
    for line in _lines_of_blocks(text):
        if words := _words_after_schoolbell(line):
            yield Shown(words, is_whole=True)
    for span in spans(text):
        if words := _words_after_schoolbell(span):
            yield Shown(words, is_whole=False)


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code that are marked as being in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _lines_of_blocks(text: str) -> Iterator[str]:
    for block in _FENCE.findall(text):
        yield from _CONTINUED.sub(" ", block).splitlines()[1:-1]


def _words_after_schoolbell(line: str) -> tuple[str, ...]:
    line = line.removeprefix(_PROMPT)
    if not line.startswith("schoolbell "):
        return ()
    words = shlex.split(line, comments=True)
    return tuple(words[1 : -1 if words[-1] == "&" else None])


def _anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
