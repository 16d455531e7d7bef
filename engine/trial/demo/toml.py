"""Writing TOML: tables of texts, numbers, truths and lists of texts: all that settings hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Value = str | int | float | bool | Sequence[str]


def as_toml(tables: Mapping[str, Mapping[str, Value]]) -> str:
    """The tables one after the other, each with its keys in order."""
    return "\n".join(
        "\n".join((f"[{name}]", *(f"{key} = {_literal(value)}" for key, value in table.items())))
        + "\n"
        for name, table in tables.items()
    )


def _literal(value: Value) -> str:
    """A JSON literal is one of TOML too, but for DEL, which must be escaped there."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
