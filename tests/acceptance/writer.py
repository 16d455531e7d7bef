"""A school's programs that change scores: in quick succession, by a clock that may be wrong."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from sqlalchemy import Connection, text

from tests.acceptance.screens import Score, insist
from tests.site import Site

_RECORDS: Final = (1, 5, 40)  # of one transaction
_TIMES: Final = (1, 2, 3, 4)  # that each of them changes in quick succession
_SECOND: Final = timedelta(seconds=1)

# The capture's triggers ask the clock of the database server. Tests set it, for one transaction,
# where its answer has arrived: in the row of the outbox.
_WRONG_CLOCK: Final = (
    """CREATE FUNCTION public.wrong_clock() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE said text := current_setting('wrong_clock.at', true);
    BEGIN
        IF said <> '' THEN
            NEW.at := said::timestamptz;
        END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER wrong_clock BEFORE INSERT ON schoolbell_capture_{district}.outbox"
    " FOR EACH ROW EXECUTE FUNCTION public.wrong_clock()",
)


class SisClock(StrEnum):
    """What the clock of the SIS does between the changes of one record."""

    RIGHT = "right"
    STANDS = "stands"
    STEPS_BACK = "steps back"


def let_clocks_be_wrong(site: Site) -> None:
    """Make the SIS, on PostgreSQL, able to have a wrong clock for one transaction."""
    whose = site.district.owner.identifier
    with site.district.source.database.write() as connection:
        for statement in _WRONG_CLOCK:
            connection.exec_driver_sql(statement.replace("{district}", whose))


@dataclass(slots=True)
class Writer:
    """Changes *scores*, about *rate* changes a second; *written* counts them."""

    site: Site
    scores: Sequence[Score]
    chance: random.Random
    rate: float
    written: int = 0

    def write(self, changes: int) -> None:
        """Commit at least so many changes, each of which adds a point to a score."""
        enough = self.written + changes
        due = time.monotonic()
        while self.written < enough:
            due = max(due + self._burst() / self.rate, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def _burst(self) -> int:
        """Change some scores a few times, without a pause, and return how many changes it were."""
        chosen = [score.id for score in self.chance.sample(self.scores, self._draw(_RECORDS))]
        times, clock = self._draw(_TIMES), self.chance.choice(list(SisClock))
        began = datetime.now(UTC)
        for number in range(times):
            insist(partial(self._commit, chosen, _says(clock, began, number)))
        self.written += times * len(chosen)
        return times * len(chosen)

    def _draw(self, numbers: Sequence[int]) -> int:
        return self.chance.choice(numbers)

    def _commit(self, chosen: Sequence[int], at: datetime | None) -> None:
        with self.site.district.source.database.write() as connection:
            _set_clock(connection, at)
            connection.execute(
                text("UPDATE score SET points = points + 1 WHERE score_id = ANY(:chosen)"),
                {"chosen": list(chosen)},
            )


def _says(clock: SisClock, began: datetime, number: int) -> datetime | None:
    """What the clock of the SIS says at the change with this *number*; None is the truth."""
    match clock:
        case SisClock.RIGHT:
            return None
        case SisClock.STANDS:
            return began
        case SisClock.STEPS_BACK:
            return began - number * _SECOND


def _set_clock(connection: Connection, at: datetime | None) -> None:
    connection.execute(
        text("SELECT set_config('wrong_clock.at', :at, true)"),
        {"at": at.isoformat() if at else ""},
    )
