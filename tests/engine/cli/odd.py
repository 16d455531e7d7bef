"""Odd command lines, configurations and surroundings, from a fixed seed."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

import click
import structlog

from engine.cli import complaints
from engine.cli.main import cli, main
from engine.errors import SchoolbellError

WORDS: Final = (
    *("", " ", "-", "--", "-1", "0", "1", "34", "41", "5,50", "1e9", "NaN", "inf", "9" * 30, "1.5"),
    *("a" * 10_000, "\udcff", "é", "\u202eabc", "\u0000x"[1:], "'; DROP TABLE people;--", "{0}"),
    *("%s%n", "\n", "\t", "../../etc/passwd", "/", "/dev/null", "~", "2026-13-45", "0001-01-01"),
    *("9999-12-31T23:59:59", "2026-11-22T08:00:00", "2026-11-22T08:00:00+05:00", "٣", "True"),
    *("sqlite:///", "sqlite:///odd.db", "http://[", "postgresql://u:secret@[::1", "🏫", "--help"),
    *("generic", "grade", "apns", "on", "off", "show", "guardian", "-h", "=", "--=", "@file", "*"),
)
RIGHT: Final[Mapping[str, str]] = {
    "person": "34",
    "student": "41",
    "school": "1",
    "device": "1",
    "token": "ab" * 32,
    "push_key": "A" * 43 + "=",
    "since": "2026-01-01",
    "change": "019a0000-0000-7000-8000-000000000000",
    "entries": "019a0000-0000-7000-8000-000000000000.41",
    "districts": "north",
    "host": "hub.example",
    "folder": "out",
    "etc": "/etc/rabbitmq",
    "url": "sqlite:///another.db",
    "students": "30",
    "role": "bell",
    "definition": "reference",
    "watches": "score",
    "out": "a-new-draft.toml",
    "schema": "main",
}
ENDLESS: Final = ("run", "demo", "phones")


@dataclass(frozen=True)
class Ended:
    """How a command ended: what a person saw, and what nobody had foreseen."""

    code: object
    out: str
    err: str
    unforeseen: BaseException | None

    @property
    def said(self) -> str:
        """All that was shown."""
        return self.out + self.err


def run(words: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """Run the program within this process, as its script does."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    unforeseen: list[BaseException] = []

    def noted(error: Exception) -> SchoolbellError:
        unforeseen.append(error)
        return SchoolbellError("unforeseen", "unforeseen")

    with (
        mock.patch.dict("os.environ", environment or {}),
        mock.patch("sys.argv", ["schoolbell", *words]),
        mock.patch.object(complaints, "unforeseen", noted),
        mock.patch("sys.stdin", io.StringIO("")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code: object = 0
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException as error:
            code, unforeseen = None, [error]
        finally:
            structlog.reset_defaults()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "replace"))  # type: ignore[attr-defined]
    return Ended(code, *texts, unforeseen[0] if unforeseen else None)


def leaves(
    group: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that name it."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from leaves(command, (*path, name))


def command_lines(number: int, seed: int) -> Iterator[list[str]]:
    """Odd command lines: most of what each says is right, and something is odd."""
    chance = random.Random(seed)
    known = list(leaves())
    for _ in range(number):
        path, command = chance.choice(known)
        line, wanted = [*path], list(command.params)
        odd = chance.choice([None, *wanted])
        for parameter in wanted:
            if parameter is odd or parameter.required or chance.random() < 0.3:
                line += _given(chance, parameter, is_odd=parameter is odd)
        if chance.random() < 0.15:
            line.insert(chance.randrange(len(line) + 1), chance.choice(WORDS))
        if chance.random() < 0.1:
            del line[chance.randrange(len(line))]
        if path[0] in ENDLESS:
            line.append(f"--{chance.choice(WORDS) or 'x'}-")
        yield line


def _given(chance: random.Random, parameter: click.Parameter, *, is_odd: bool) -> list[str]:
    kind: Any = parameter.type
    if is_odd:
        value = chance.choice(WORDS)
    elif isinstance(kind, click.Choice):
        value = chance.choice(list(kind.choices))
    else:
        value = RIGHT.get(parameter.name or "", "5")
    if isinstance(parameter, click.Option):
        name = chance.choice([*parameter.opts, *parameter.secondary_opts])
        if parameter.is_flag:
            return [name]
        return [f"{name}={value}"] if chance.random() < 0.2 else [name, value]
    return [value]


# Configurations

VALUES: Final = (
    *("", "x", '"', "-1", "0", "1e400", "nan", "inf", "-0.0", "true", "[]", "{}", '""', '" "'),
    *("99999999999999999999", "0x7fffffffffffffff", "1979-05-27", "07:32:00", "1_000", '"x"'),
    *('"P"', '"PT"', '"P1Y"', '"P99999999999D"', '"-PT1S"', '"10 minutes"', "[[]]", '["a", 1]'),
    *('"/"', '"/dev/null"', '"."', '"../x.toml"', '"no-such.toml"', '"~/x"', '"a\\u0000b"'),
    *('"https://"', '"https://["', '"https://a:b@c:99999"', '"HTTPS://x"', '"amqp://"', '"é"'),
    *('"amqps://u:p@h:0/v"', '"amqps://u:p@[::1"', '"amqps://u:%zz@h/%ff"', '"embedded:"'),
    *('"sqlite://"', '"sqlite:///"', '"sqlite:////"', '"sqlite:///."', '"sqlite:///:memory:"'),
    *('"sqlite:///no/such/folder/x.db"', '"sqlite:///file:x?mode=ro&uri=true"', '"oracle://"'),
    *('"postgresql://u:p@127.0.0.1:1/d"', '"postgresql://u:p@h:x/d"', '"mysql://u:p@h/d"'),
    *('"America/Chicago"', '"../../etc/localtime"', '"Mars"', f'"{"a" * 70_000}"', '"\\ud83d"'),
    *('"hub"', '["hub"]', '["north", "north"]', '"NORTH"', '"reference"', '"none.toml"', '"//"'),
    *('["north"]', '"amqps://u@h"', '"embedded"', "1979-05-27T07:32:00Z"),
)


def configurations(right: bytes, number: int, seed: int) -> Iterator[bytes]:
    """Mutations of a configuration: each in one to three ways."""
    chance = random.Random(seed)
    for _ in range(number):
        text = right
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            text = chance.choice(_MUTATIONS)(text, chance)
        yield text


def _lines(text: bytes) -> list[bytes]:
    return text.split(b"\n")


def _another_value(text: bytes, chance: random.Random) -> bytes:
    lines = _lines(text)
    keys = [number for number, line in enumerate(lines) if b" = " in line and line[:1] != b"#"]
    if keys:
        number = chance.choice(keys)
        name, _, value = lines[number].partition(b" = ")
        alike = [one for one in VALUES if one[:1] == value[:1].decode()]
        others = alike if alike and chance.random() < 0.7 else VALUES
        lines[number] = name + b" = " + chance.choice(others).encode()
    return b"\n".join(lines)


def _another_key(text: bytes, chance: random.Random) -> bytes:
    names = sorted(set(re.findall(rb"^(\w+) = ", text, re.MULTILINE)))
    if not names:
        return text
    name = chance.choice(names)
    others = (*names, b"x", b'""', b'"a b"', b"a.b", name[:-1], name.upper(), name * 40)
    return re.sub(rb"^" + name + b" = ", lambda _: chance.choice(others) + b" = ", text, flags=re.M)


def _another_section(text: bytes, chance: random.Random) -> bytes:
    sections = re.findall(rb"^\[\w+\]", text, re.MULTILINE)
    if not sections:
        return text
    section = chance.choice(sections)
    others = (*sections, b"[x]", b"[]", b"[[district]]", b"[district.id]", section.upper(), b"")
    return text.replace(section, chance.choice(others), 1)


def _without_a_line(text: bytes, chance: random.Random) -> bytes:
    lines = _lines(text)
    del lines[chance.randrange(len(lines))]
    return b"\n".join(lines)


def _with_a_line_twice(text: bytes, chance: random.Random) -> bytes:
    lines = _lines(text)
    return b"\n".join([*lines, chance.choice(lines)])


def _garbage(text: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(text) + 1)
    return text[:place] + chance.randbytes(chance.choice((1, 3, 200))) + text[place:]


def _cut(text: bytes, chance: random.Random) -> bytes:
    return text[: chance.randrange(len(text) + 1)]


def _of_another_system(text: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (
            b"\xef\xbb\xbf" + text,
            text.replace(b"\n", b"\r\n"),
            text.replace(b"\n", b"\r"),
            text.decode("utf-8", "replace").encode("utf-16"),
            text + b"\x00",
            text + b"\x1a",
            b"",
        )
    )


def _deep(text: bytes, chance: random.Random) -> bytes:
    return text + b"\nx = " + chance.choice((b"[" * 5_000, b"{a=" * 2_000, b"[" * 900 + b"]" * 900))


def _as_a_value(text: bytes, chance: random.Random) -> bytes:
    name = chance.choice(re.findall(rb"^\[(\w+)\]", text, re.MULTILINE) or [b"x"])
    return name + b" = " + chance.choice(VALUES).encode() + b"\n" + text


_MUTATIONS: Final = (
    *(_another_value,) * 12,
    *(_another_key, _another_key, _another_section, _without_a_line, _with_a_line_twice),
    *(_garbage, _cut, _of_another_system, _deep, _as_a_value),
)
