"""The district's own templates: a TOML file that replaces some of the bundled ones."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.errors import ConfigError
from rules.audience import Audience
from rules.change import Kind
from rules.privacy import Level
from rules.wording import Template, TemplateKey, Wording


def read_wording(file: Path | None) -> Wording:
    """The templates, with those of *file* in place of the bundled ones.

    Raises ConfigError that names each template that cannot be used.
    """
    wording = Wording(_own_templates(file) if file else None)
    faults = [f"{fault.template}: {fault.problem}" for fault in wording.faults()]
    if faults:
        raise ConfigError(
            f"Templates cannot be used: {'; '.join(faults)}.",
            f"Mend them in {file}; docs/connect-a-sis.md lists the variables of each kind.",
        )
    return wording


def _own_templates(file: Path) -> Mapping[TemplateKey, Template]:
    """[language.kind.audience] with title and body; also of `generic`, and of `named.kind`."""
    try:
        return {
            TemplateKey(language, kind, Audience(audience), level): Template(**halves)
            for language, tables in tomllib.loads(file.read_text("utf-8")).items()
            for level, kind, audiences in _by_level(tables)
            for audience, halves in audiences.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"The templates file {file} is not readable: {error}.",
            "Write [en.assignment.guardian] with title and body.",
        ) from None


def _by_level(tables: Mapping[str, Any]) -> Iterator[tuple[Level, Kind | None, Mapping[str, Any]]]:
    for name, table in tables.items():
        if name == Level.GENERIC:
            yield Level.GENERIC, None, table
        elif name == Level.NAMED:
            yield from ((Level.NAMED, Kind(kind), audiences) for kind, audiences in table.items())
        else:
            yield Level.FULL, Kind(name), table
