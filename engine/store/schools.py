"""Some schools, as a column of JSON keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules.change import SchoolId
from rules.tool_rights import Schools


def as_json(schools: Schools) -> Mapping[str, Any]:
    """The schools as values of JSON; the same ones are always the same."""
    return {
        "only": sorted(schools.only),
        "but_not": sorted(schools.but_not),
        "everywhere": schools.everywhere,
    }


def of_json(stored: Mapping[str, Any]) -> Schools:
    """The schools that were kept so."""
    return Schools(
        frozenset(map(SchoolId, stored["only"])), frozenset(map(SchoolId, stored["but_not"])),
        everywhere=stored["everywhere"],
    )  # fmt: skip
