"""Days in words. A calendar has few of them, and no library is pure that knows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

_ENGLISH: Final = "en"
_MONTHS: Final[Mapping[str, str]] = {
    "en": "January February March April May June July August September October November December",
    "es": "enero febrero marzo abril mayo junio"
    " julio agosto septiembre octubre noviembre diciembre",
}
_WEEKDAYS: Final[Mapping[str, str]] = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
}
_WRITTEN: Final[Mapping[str, str]] = {
    "en": "{month} {day}, {year}",
    "es": "{day} de {month} de {year}",
}


def day(value: str, language: str) -> str:
    """`2026-11-30` as November 30, 2026; what is no day stays as it is."""
    found = as_day(value)
    if found is None:
        return value
    known = _known(language)
    month = _MONTHS[known].split()[found.month - 1]
    return _WRITTEN[known].format(day=found.day, month=month, year=found.year)


def weekday(value: str, language: str) -> str:
    """`2026-11-30` as Monday; what is no day stays as it is."""
    found = as_day(value)
    return value if found is None else _WEEKDAYS[_known(language)].split()[found.weekday()]


def as_day(value: str) -> date | None:
    """The day that words begin with; None where they begin with none."""
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def _known(language: str) -> str:
    spoken = language.partition("-")[0]
    return spoken if spoken in _MONTHS else _ENGLISH
