"""What more than one command lets people choose from, or write."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Final

import click

from rules.change import KINDS_OF_CHANGE, Kind
from rules.privacy import Level

_YEARS: Final = range(1970, 9999)  # which every database and every time zone can do with


class _Moment(click.ParamType[datetime]):
    """A day or a moment, without a time zone where none is given."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment; a day is its beginning."""
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is no moment; write one like 2026-11-22T08:00:00.", param, ctx)
        if moment.year not in _YEARS:
            self.fail(f"{value!r} is no moment of our time.", param, ctx)
        return moment


MOMENT: Final = _Moment()


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """A MOMENT as it is meant: by the clock of *zone*, unless it says of which it is.

    Where clocks are put back and an hour comes twice, the first is meant.
    """
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


KIND: Final = click.Choice([kind.value for kind in Kind])
KIND_OF_CHANGE: Final = click.Choice([kind.value for kind in KINDS_OF_CHANGE])
LEVEL: Final = click.Choice([level.value for level in Level])
MAY_SHOW: Final = {
    Level.GENERIC: "that there is something to read, and nothing else",
    Level.NAMED: "the student's first name and the kind of news, without any value",
    Level.FULL: "the whole text: first names, courses, scores, grades, absences, balances",
}
