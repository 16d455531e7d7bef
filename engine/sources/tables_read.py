"""Which tables a query reads, by its words: without asking a database that lets nobody in yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""--[^\n]*|/\*.*?\*/            # comments
    |'(?:[^']|'')*'                   # texts
    |(?P<name>(?:[^\W\d]\w*|"(?:[^"]|"")+")(?:\s*\.\s*(?:[^\W\d]\w*|"(?:[^"]|"")+"))*)
    |(?P<sign>[(),;])""",
    re.VERBOSE | re.DOTALL,
)
_BEGIN: Final = frozenset({"FROM", "JOIN"})
_PASSED_OVER: Final = frozenset({"ONLY", "LATERAL"})


def tables_read(query: str) -> set[str]:
    """The names after FROM and JOIN, quoted ones without their quotes, and with their schemas.

    What a WITH gives a name to is no table. More may be named than is read: EXTRACT(day FROM day)
    looks like a table. Whoever looks the names up finds none of that.
    """
    tokens = [match for match in _TOKEN.finditer(query) if match["name"] or match["sign"]]
    named = {_plain(one) for one in _after_with(tokens)}
    return {_plain(one) for one in _after_from(tokens)} - named


def _after_with(tokens: list[re.Match[str]]) -> Iterator[str]:
    """A name before `AS (`, which only a WITH has."""
    tokens = [one for one in tokens if _word(one) not in ("MATERIALIZED", "NOT")]
    for name, as_, sign in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if name["name"] and _word(as_) == "AS" and sign["sign"] == "(":
            yield name["name"]


def _after_from(tokens: list[re.Match[str]]) -> Iterator[str]:
    depth, listing = 0, dict[int, bool]()  # whether a comma at this depth leads to a table
    for index, token in enumerate(tokens):
        word = _word(token)
        if token["sign"] == "(":
            depth += 1
            listing[depth] = False
        elif token["sign"] == ")":
            depth -= 1
        elif word in _BEGIN or (token["sign"] == "," and listing.get(depth)):
            listing[depth] = True
            if name := _name_after(tokens, index):
                yield name
        elif word in _ENDS:
            listing[depth] = False


def _name_after(tokens: list[re.Match[str]], index: int) -> str:
    """The name that follows; empty where a query in brackets or a function does."""
    rest = iter(tokens[index + 1 :])
    found = next((one for one in rest if _word(one) not in _PASSED_OVER), None)
    if found is None or not found["name"]:
        return ""
    after = next(rest, None)
    return "" if after is not None and after["sign"] == "(" else found["name"]


def _word(token: re.Match[str]) -> str:
    return (token["name"] or "").upper()


def _plain(name: str) -> str:
    """As the catalogue has it: folded unless it is quoted."""
    parts = re.findall(r'"(?:[^"]|"")+"|[^\W\d]\w*', name)
    return ".".join(
        part[1:-1].replace('""', '"') if part.startswith('"') else part.lower() for part in parts
    )


_ENDS: Final = frozenset(
    {"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "UNION", "EXCEPT", "INTERSECT",
     "SELECT", "WINDOW", "FETCH", "FOR"}
)  # fmt: skip
