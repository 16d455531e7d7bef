"""Reading a source definition: each part of the file is looked at, and each fault has its line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from engine import files
from engine.dialects.names import table_name
from engine.errors import ConfigError
from engine.sources import soundness
from engine.sources.definition import (
    Definition,
    Directory,
    DirectoryWatch,
    Entity,
    Pages,
    Query,
    Watch,
    where,
)
from engine.sources.lines import Place
from engine.sources.unfilled import unfilled

_Type = TypeVar("_Type", bound=msgspec.Struct)

_WHAT: Final = "source definition"
_ALWAYS: Final = ("name", "watch", "facts", "directory")
_KNOWN: Final = (
    "name", "description", "watch", "facts", "labels", "directory", "directory_watch", "pages",
)  # fmt: skip
_SORTS: Final = {
    "str": "a text in quotes",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


class Problem(NamedTuple):
    """What is wrong at a place of the file."""

    place: Place
    sentence: str


def load(name_or_path: str) -> Definition:
    """Read a bundled definition by name, or any by its path; raise ConfigError with the remedy."""
    text = _text(name_or_path)
    _require_filled(name_or_path, text)
    file = _File(files.toml(text, _WHAT, Path(name_or_path)))
    definition = file.definition(text)
    problems = file.problems
    if definition is not None and not problems:
        problems = [Problem(*one) for one in soundness.problems(definition)]
    if definition is None or problems:
        told = "; ".join(_told(problem, text) for problem in problems)
        raise ConfigError(
            f"The source definition {files.shown(name_or_path)} is not usable: {told}.",
            "Mend the file; nothing was changed in the SIS.",
        )
    return definition


def bundled() -> list[str]:
    """The names of the bundled definitions."""
    folder = resources.files("engine.sources") / "definitions"
    return sorted(
        file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")
    )


class _File:
    """A definition as TOML has it, read part by part; *problems* are those of all of them."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.problems: list[Problem] = []

    def definition(self, text: str) -> Definition | None:
        """The definition, or None where a part of it cannot be read."""
        self._look_for_keys((), self._content, _KNOWN, _ALWAYS)
        watches = self._list("watch", Watch)
        directory_watches = self._list("directory_watch", DirectoryWatch)
        facts, labels = self._queries("facts", None), self._queries("labels", None)
        needed = [one.name for one in msgspec.structs.fields(Directory) if one.required]
        directory = self._queries("directory", get_args(Entity), needed)
        pages = self._queries("pages", Pages.__struct_fields__)
        name, description = self._a_text("name"), self._a_text("description")
        if self.problems:
            return None
        return Definition(
            name=name,
            description=description,
            watch=tuple(watches),
            facts=facts,
            labels=labels,
            directory_watch=tuple(directory_watches),
            directory=Directory(**directory),
            pages=Pages(**pages),
            written=text,
        )

    def _a_text(self, key: str) -> str:
        value = self._content.get(key, "")
        if isinstance(value, str):
            return value
        self._add((key,), f"`{key}` must be a text in quotes")
        return ""

    def _list(self, part: str, type_: type[_Type]) -> list[_Type]:
        """The tables of a list like [[watch]]."""
        found = self._content.get(part, [])
        if isinstance(found, dict):
            self._add((part,), f"write [[{part}]] in two brackets: there may be several")
            return []
        if not isinstance(found, list):
            self._add((part,), f"`{part}` must be made of tables, each under [[{part}]]")
            return []
        read = (self._part((part, number), each, type_) for number, each in enumerate(found))
        return [one for one in read if one is not None]

    def _queries(
        self, part: str, names: Sequence[str] | None, needed: Sequence[str] = ()
    ) -> dict[str, Query]:
        """The queries of a part: of these *names*, the *needed* among them, or of any."""
        found = self._content.get(part, {})
        if not isinstance(found, dict):
            self._add((part,), f"`{part}` must be made of tables like [{part}.name]")
            return {}
        if names is not None and part in self._content:
            self._look_for_keys((part,), found, names, needed)
            found = {name: query for name, query in found.items() if name in names}
        read = {name: self._part((part, name), each, Query) for name, each in found.items()}
        return {name: query for name, query in read.items() if query is not None}

    def _part(self, place: Place, content: Any, type_: type[_Type]) -> _Type | None:
        """One table of the file; None where it cannot be read."""
        if not isinstance(content, dict):
            self._add(place, "there must be a table here")
            return None
        before = len(self.problems)
        fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
        needed = [name for name, field in fields.items() if field.required]
        self._look_for_keys(place, content, list(fields), needed)
        values: dict[str, Any] = {}
        for name, value in content.items():
            if name in fields:
                self._value((*place, name), value, fields[name], values)
        return None if len(self.problems) > before else type_(**values)

    def _value(
        self, place: Place, value: Any, field: msgspec.structs.FieldInfo, values: dict[str, Any]
    ) -> None:
        if field.name == "table" and _is_path(value):
            value = table_name(tuple(value))
        try:
            values[field.name] = msgspec.convert(value, field.type)
        except (msgspec.ValidationError, ValueError) as error:
            self._add(place, f"`{field.encode_name}` {_expected(str(error), _bare(field.type))}")

    def _look_for_keys(
        self, place: Place, content: Mapping[str, Any], known: Sequence[str], needed: Sequence[str]
    ) -> None:
        for key in content:
            if key not in known:
                self._add((*place, key), f"there is no key `{key}` here{did_you_mean(key, known)}")
        for key in needed:
            if key not in content:
                self._add(place or (key,), f"`{key}` is missing")

    def _add(self, place: Place, sentence: str) -> None:
        self.problems.append(Problem(place, sentence))


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The known word that is nearest, in words; nothing where none is near."""
    folded = {one.casefold(): one for one in known}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.7)
    return f"; did you mean `{folded[near[0]]}`?" if near else ""


def _is_path(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(p, str) and p for p in value)


def _bare(type_: Any) -> Any:
    """A type without what is said of it."""
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _expected(error: str, type_: Any) -> str:
    """What a value must be, said for who writes the file."""
    if "Invalid enum value" in error:
        return f"must be one of: {', '.join(get_args(type_) or (str(one) for one in type_))}"
    if match := re.match(r"Expected `([^`]+)`", error):
        sorts = dict.fromkeys(_SORTS.get(one, one) for one in match[1].split(" | "))
        within = " throughout" if "$[" in error else ""
        return f"must be {' or '.join(sorts)}{within}"
    return f"is not as it must be: {error}"


def _told(problem: Problem, text: str) -> str:
    place = where(problem.place, text)
    return f"{place}: {problem.sentence}" if place else problem.sentence


def _require_filled(name: str, text: str) -> None:
    """Raise ConfigError where a draft still waits for a person."""
    waiting = unfilled(text)
    if waiting:
        lines = "; ".join(f"line {one.line}: {one.what}" for one in waiting)
        raise ConfigError(
            f"The source definition {name} waits to be filled in: {lines}.",
            "Write in each of these lines, in place of <FILL IN: ...>, what it asks for.",
        )


def _text(name_or_path: str) -> str:
    remedy = f"Name a file, or one of: {', '.join(bundled())}."
    if name_or_path in bundled():
        folder = resources.files("engine.sources") / "definitions"
        return (folder / f"{name_or_path}.toml").read_text("utf-8")
    return files.read_text(Path(name_or_path), _WHAT, remedy).replace("\r\n", "\n")
