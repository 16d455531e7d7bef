"""Files that people write: read within bounds, and whatever is wrong with one said with its line.

The words of a file are in no error: a line may hold a password.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import ConfigError

LARGEST: Final = 4 * 1024 * 1024
"""Bytes. Nobody writes more into one file by hand."""

_MOST_SHOWN: Final = 300
_BYTE_ORDER_MARK: Final = "\ufeff"
_PLACE: Final = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)")
_NESTED: Final = re.compile(r"(?:[\[{]\s*(?:\w+\s*=\s*)?){50}")
_TABLE: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_TWICE: Final = re.compile(r"Cannot (?:overwrite a value|declare .* twice|mutate immutable .*)")


def read(file: Path, what: str, remedy: str) -> bytes:
    """What *file* holds; *what* it is and the *remedy* are for errors. Raises ConfigError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except FileNotFoundError:
        raise ConfigError(f"There is no {what} {shown(file)}.", remedy) from None
    except (OSError, ValueError) as error:  # the latter of a path that can be none
        words = error.strerror if isinstance(error, OSError) else "a path has no such characters"
        raise ConfigError(
            f"The {what} {shown(file)} cannot be read: {words}.",
            "Name a file that this user may read.",
        ) from None
    if len(content) > LARGEST:
        raise ConfigError(f"The {what} {file} is larger than {LARGEST:,} bytes.", remedy)
    return content


def read_text(file: Path, what: str, remedy: str) -> str:
    """The text of *file*, UTF-8 with or without a byte order mark. Raises ConfigError."""
    content = read(file, what, remedy)
    try:
        return content.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"The {what} {file} is not readable as text: line {line} is not in UTF-8.",
            "Save it as UTF-8.",
        ) from None


def toml(text: str, what: str, file: Path) -> dict[str, Any]:
    """The tables of a *text* from *file*. Raises ConfigError that names the line."""
    try:
        if _NESTED.search(text):  # before Python is at the end of its stack
            raise RecursionError
        return tomllib.loads(text + "\n")
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.fullmatch(str(error))
        words, line = (found[1], found[2]) if found else (str(error), None)
        if _TWICE.fullmatch(words):
            words = "what stands there is in the file already"
        place = f"line {line}" if line else f"line {text.count(chr(10)) + 1}, its end"
        raise ConfigError(
            f"The {what} {file} is not readable as TOML: {place}: {words}.",
            "Mend that line of the file.",
        ) from None
    except (RecursionError, ValueError):  # a number of thousands of digits, a date that is none
        raise ConfigError(
            f"The {what} {file} is not readable as TOML: a value is nested too deeply or too long.",
            "Mend it: settings are short.",
        ) from None


def line_of(text: str, keys: Sequence[str]) -> int | None:
    """The line of a setting, or of its table, by the names that lead to it; None if not found."""
    table = ""
    found = None
    for number, line in enumerate(text.splitlines(), 1):
        if heading := _TABLE.fullmatch(line):
            table = heading[1]
            found = number if [table] == [*keys[:1]] and found is None else found
        elif table == ".".join(keys[:-1]) and re.match(rf"\s*{re.escape(keys[-1])}\s*=", line):
            return number
    return found


def shown(words: object) -> str:
    """*words* for a person to read: what no terminal shows is escaped, and what is long is cut."""
    text = str(words)
    text = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
