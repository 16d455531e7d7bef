"""The district's own templates: a TOML file that replaces some of the bundled ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine import files
from engine.errors import ConfigError
from rules.audience import Audience
from rules.change import KINDS_OF_CHANGE, Kind
from rules.privacy import Level
from rules.wording import Template, TemplateKey, Wording

_WHAT: Final = "templates file"
_WITHDRAWN: Final = "withdrawn"
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def read_wording(file: Path | None) -> Wording:
    """The templates, with those of *file* in place of the bundled ones.

    Raises ConfigError that names each template that cannot be used.
    """
    wording = Wording(_own_templates(file) if file else None)
    faults = [f"{fault.template}: {fault.problem}" for fault in wording.faults()]
    if faults:
        raise ConfigError(
            f"Templates cannot be used: {'; '.join(faults)}.",
            f"Mend them in {file}; docs/own-texts.md lists the variables of each kind.",
        )
    return wording


def _own_templates(file: Path) -> Mapping[TemplateKey, Template]:
    """[language.kind.audience] with title and body; also of `generic`, and of `named.kind`.

    `withdrawn.kind` instead of the kind corrects what was told of a record that is gone.
    """
    text = files.read_text(file, _WHAT, "Name another as templates_file in [wording].")
    try:
        return {
            TemplateKey(_tag(language), kind, Audience(audience), level, withdrawn): _halves(
                **halves
            )
            for language, tables in files.toml(text, _WHAT, file).items()
            for level, kind, withdrawn, audiences in _by_level(tables)
            for audience, halves in audiences.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"The templates file {file} is not readable: {error}.",
            "Write [en.assignment.guardian] with title and body.",
        ) from None


def _tag(language: str) -> str:
    if not _LANGUAGE.fullmatch(language):
        raise ValueError(f"{language} is no language: write a tag like en, es or es-MX")
    return language


def _halves(*, title: str, body: str) -> Template:
    if not isinstance(title, str) or not isinstance(body, str):
        raise TypeError("title and body are texts in quotes")
    return Template(title, body)


def _by_level(
    tables: Mapping[str, Any],
) -> Iterator[tuple[Level, Kind | None, bool, Mapping[str, Any]]]:
    for name, table in tables.items():
        if name == Level.GENERIC:
            yield Level.GENERIC, None, False, table
        elif name == Level.NAMED:
            yield from ((Level.NAMED, *one) for one in _by_kind(table))
        else:
            yield from ((Level.FULL, *one) for one in _by_kind({name: table}))


def _by_kind(tables: Mapping[str, Any]) -> Iterator[tuple[Kind, bool, Mapping[str, Any]]]:
    for name, table in tables.items():
        if name == _WITHDRAWN:
            yield from ((_kind(kind), True, audiences) for kind, audiences in table.items())
        else:
            yield _kind(name), False, table


def _kind(name: str) -> Kind:
    kind = Kind(name)
    if kind not in KINDS_OF_CHANGE:
        raise ValueError(f"the text of a {kind} is what staff write")
    return kind
