"""Definitions that somebody has broken: each is refused in a clear sentence with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from engine.database import Database
from engine.errors import ConfigError
from engine.sources.loading import load
from engine.sources.source import SqlSource
from engine.trial.reference.create import create

REFERENCE: Final = (
    Path(load.__code__.co_filename).with_name("definitions") / "reference.toml"
).read_text("utf-8")
MUTANTS: Final = 500
SEED: Final = 8
# What no sentence for a technician holds.
NOT_CLEAR: Final = re.compile(
    r"Traceback|Error\b|msgspec|sqlalchemy|psycopg|sqlite3|<class|0x[0-9a-f]{6}"
)
ODD: Final = (
    "'",
    '"',
    "\\",
    "\0",
    "\ud7ff",
    "[",
    "]",
    "{",
    "}",
    "=",
    "#",
    "\t",
    "é",
    "😀",
    ";",
    ".",
    "\r",
)
VALUES: Final = (
    "1",
    "-1.5",
    "true",
    "[]",
    "{}",
    '""',
    "[1, 2]",
    "2026-11-30",
    "nan",
    '"x"',
    '[["x"]]',
)


def _line(random: Random, lines: list[str], matching: str) -> int:
    """The number of a line that matches, or of any."""
    found = [n for n, line in enumerate(lines) if re.match(matching, line)]
    return random.choice(found or range(len(lines)))


def _drop_a_line(random: Random, lines: list[str]) -> None:
    del lines[_line(random, lines, r"\S")]


def _rename_a_key(random: Random, lines: list[str]) -> None:
    number = _line(random, lines, r"\w+ = ")
    key = lines[number].split(" ", 1)[0]
    place = random.randrange(len(key))
    other = random.choice((key + "s", key[:place] + key[place + 1 :] or "k", key.upper()))
    lines[number] = lines[number].replace(key, other, 1)


def _retype_a_value(random: Random, lines: list[str]) -> None:
    number = _line(random, lines, r'\w+ = (?!""")')
    lines[number] = f"{lines[number].split(' = ')[0]} = {random.choice(VALUES)}"


def _rename_a_heading(random: Random, lines: list[str]) -> None:
    number = _line(random, lines, r"\[")
    lines[number] = random.choice(
        (lines[number].upper(), lines[number][1:-1], lines[number].replace(".", "_"), "[other]")
    )


def _swap_two_words(random: Random, lines: list[str]) -> None:
    number, other = (_line(random, lines, r'\w+ = "') for _ in range(2))
    words = [re.search(r'"([^"]*)"', lines[n]) for n in (number, other)]
    if words[0] and words[1]:
        lines[number] = lines[number].replace(words[0][1], words[1][1], 1)


def _break_the_sql(random: Random, lines: list[str]) -> None:
    number = _line(random, lines, r"(SELECT|FROM|JOIN|    \w+\.\w+)")
    lines[number] = random.choice(
        (
            lines[number].replace("_", "", 1),
            f"{lines[number]} ,",
            f"{lines[number]};",
            "SELEKT",
            "--",
        )
    )


def _put_an_odd_character(random: Random, lines: list[str]) -> None:
    number = random.randrange(len(lines))
    place = random.randrange(len(lines[number]) + 1)
    lines[number] = lines[number][:place] + random.choice(ODD) + lines[number][place:]


def _end_early(random: Random, lines: list[str]) -> None:
    del lines[random.randrange(len(lines) // 2, len(lines)) + 1 :]


def _say_a_line_twice(random: Random, lines: list[str]) -> None:
    number = _line(random, lines, r"\S")
    lines.insert(number, lines[number])


MUTATIONS: Final[tuple[Callable[[Random, list[str]], None], ...]] = (
    _drop_a_line, _rename_a_key, _retype_a_value, _rename_a_heading, _swap_two_words,
    _break_the_sql, _put_an_odd_character, _end_early, _say_a_line_twice,
)  # fmt: skip


def mutants(count: int = MUTANTS, seed: int = SEED) -> list[tuple[str, str]]:
    """Broken definitions, each with the name of its mutation."""
    random = Random(seed)
    found = []
    for number in range(count):
        lines = REFERENCE.split("\n")
        mutation = MUTATIONS[number % len(MUTATIONS)]
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            mutation(random, lines)
        found.append((mutation.__name__, "\n".join(lines)))
    return found


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The reference SIS, on SQLite."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('sis') / 'sis.db'}")
    create(database.engine)
    yield database
    database.close()


def test_five_hundred_broken_definitions_are_refused_clearly(
    database: Database, tmp_path: Path
) -> None:
    refused = dict.fromkeys((mutation.__name__ for mutation in MUTATIONS), 0)
    for name, text in mutants():
        problem = _problem(database, tmp_path / "mutant.toml", text)
        if problem is None:
            assert _means_something(text), text
            continue
        refused[name] += 1
        assert not NOT_CLEAR.search(problem), problem
        assert re.search(r"\bline \d+", problem), problem
        assert max(int(line) for line in re.findall(r"\bline (\d+)", problem)) <= len(
            text.split("\n")
        )
    assert min(refused.values()) >= 10
    assert sum(refused.values()) >= MUTANTS // 2


def _problem(database: Database, path: Path, text: str) -> str | None:
    """What is said of a definition; None where it is sound as far as anybody can tell."""
    path.write_text(text, "utf-8", newline="")
    try:
        SqlSource(database, load(str(path))).check()
    except ConfigError as error:
        return error.problem if error.remedy else "no remedy"
    return None


def _means_something(text: str) -> bool:
    """A mutant that is taken is TOML: a comment was changed, a name, or a line left out."""
    return bool(tomllib.loads(text))
