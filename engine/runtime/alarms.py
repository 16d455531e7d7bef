"""Alarms of what runs: raised when a stage or a job meets trouble, cleared when it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports import Clock
from engine.store import alarms

if TYPE_CHECKING:
    from engine.sources.unclear import Unclear

STAGE: Final = "stage"
CAPTURE: Final = "capture"
CAPTURE_SUBJECT: Final = "triggers"
CONDITION: Final = "condition"
CONCERN: Final = "beside capture"


class Alarms:
    """Raises and clears alarms, each in a transaction of its own."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def update(self, kind: str, subject: str, error: SchoolbellError | None) -> None:
        """Raise the alarm for what is wrong with *subject*; clear it when nothing is."""
        with self._database.write() as connection:
            if error is None:
                alarms.resolve(connection, kind, subject)
            else:
                alarms.report(connection, kind, subject, error.problem, error.remedy, self._clock())

    def known(self, kind: str) -> set[str]:
        """The subjects that there is something to say of."""
        with self._database.read() as connection:
            return alarms.known(connection, [kind]).get(kind, set())

    def of_conditions(self, unclear: Unclear) -> None:
        """Tell of conditions that could not be read. Each is over when there was none for a day."""
        for condition, count in unclear:
            self.update(CONDITION, str(condition), condition.error(count))

    def of_stage(self, stage: str, error: SchoolbellError | None) -> None:
        """Keep the last failure of a stage where `status` finds it, as far as that is possible."""
        try:
            self.update(STAGE, stage, error)
        except SchoolbellError:
            return  # it is in the log; the database may be the very thing that failed
