"""Commands and settings on the pages are those that there are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from engine.cli.main import cli
from engine.config import Config
from tests.docs.pages import PAGES, ROOT, Shown, commands, name_of, spans

_SETTING: Final = re.compile(r"\[([a-z_]+)\] ([a-z_]+)\b")
_LITERALS_JOIN: Final = re.compile(r'"\n\s*f?"')
_ELLIPSIS: Final = frozenset({"…", "..."})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_on_a_page_exists_with_its_options(page: Path) -> None:
    problems = [_problem(shown) for shown in commands(page.read_text("utf-8"))]

    assert list(filter(None, problems)) == []


def test_every_command_is_shown_on_a_page() -> None:
    shown = {
        " ".join(command)
        for page in PAGES
        for command in map(_named, commands(page.read_text("utf-8")))
    }

    assert sorted(set(map(" ".join, _leaves(cli))) - shown) == []


def test_every_command_that_an_error_or_a_comment_advises_exists() -> None:
    problems = {
        _problem(shown)
        for module in sorted((ROOT / "engine").rglob("*.py"))
        for shown in commands(_LITERALS_JOIN.sub("", module.read_text("utf-8")))
        if not any("{" in word for word in shown.words)  # filled in when it is shown
    }

    assert problems == {""}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    named = {
        setting for span in spans(page.read_text("utf-8")) for setting in _SETTING.findall(span)
    }

    assert sorted(f"[{section}] {key}" for section, key in named if not _is_set(section, key)) == []


def test_the_example_shows_every_setting() -> None:
    shown = tomllib.loads((ROOT / "config.example.toml").read_text("utf-8"))
    settings = {name: set(section) for name, section in Config().model_dump().items()}

    assert {name: set(section) for name, section in shown.items()} == settings


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("schoolbell why --student 1 --person 2", ""),
        ("schoolbell enabel", "schoolbell enabel: No such command"),
        ("schoolbell capture toggle", "schoolbell capture toggle: No such command"),
        ("schoolbell why --student 1 --person 2 --loud", "No such option"),
        ("schoolbell why --student 1", "Missing option"),
        ("schoolbell privacy everything", "is not one of"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str, problem: str) -> None:
    (shown,) = commands(f"```\n{line}\n```")

    assert problem in _problem(shown)
    assert bool(_problem(shown)) == bool(problem)


def test_a_sentence_may_leave_out_what_a_command_needs() -> None:
    assert [_problem(shown) for shown in commands("`schoolbell why` and `schoolbell wy`")] == [
        "",
        "schoolbell wy: No such command",
    ]


def _problem(shown: Shown) -> str:
    """What is wrong with a command line; empty when it would be run."""
    line = " ".join(("schoolbell", *shown.words))
    try:
        command, context, rest = _find(shown.words)
        if command is None:
            return f"{line}: No such command"
        if shown.is_whole and not _ELLIPSIS.intersection(rest):
            command.make_context(command.name, list(rest), parent=context)
        elif unknown := set(_options(rest)) - _known_options(command):
            return f"{line}: No such option {min(unknown)}"
    except click.ClickException as error:
        return f"{line}: {error.format_message()}"
    return ""


def _find(words: tuple[str, ...]) -> tuple[click.Command | None, click.Context, tuple[str, ...]]:
    """The command that *words* begin with, what it stands in, and the words that are left."""
    command: click.Command | None = cli
    context = click.Context(cli, info_name="schoolbell")
    while isinstance(command, click.Group) and words:
        if words[0].startswith("-"):
            break
        command = command.get_command(context, words[0])
        words = words[1:]
    return command, context, words


def _named(shown: Shown) -> tuple[str, ...]:
    """The names of groups and command that a command line begins with."""
    rest = _find(shown.words)[2]
    return shown.words[: len(shown.words) - len(rest)]


def _leaves(group: click.Group) -> Iterator[tuple[str, ...]]:
    """The names of each command, after those of the groups that it stands in."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, *names) for names in _leaves(command))
        else:
            yield (name,)


def _options(words: tuple[str, ...]) -> Iterator[str]:
    return (word.partition("=")[0] for word in words if word.startswith("-"))


def _known_options(command: click.Command) -> set[str]:
    options = (one for one in command.params if isinstance(one, click.Option))
    return {"--help", *(name for one in options for name in (*one.opts, *one.secondary_opts))}


def _is_set(section: str, key: str) -> bool:
    found = Config.model_fields.get(section)
    return found is not None and key in type(found.default).model_fields
