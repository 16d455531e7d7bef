"""A SIS: what its changes mean, whom they concern, and who everybody is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from engine.errors import Unprocessable
from rules.change import Change, ChangeId, StudentId, Subject

DIRECTORY_ALARM: Final = "directory"
UNREAD: Final = "unread"
"""The subject of a DIRECTORY_ALARM about changes that wait until the directory is read again."""

SOURCE_ALARM: Final = "source"
"""The alarm about a query of the source definition that the SIS refuses."""


class Source(Protocol):
    """A SIS, as its definition describes it."""

    def sort(self, changes: Sequence[Change]) -> Sorted:
        """Tell changes of records from changes of the directory and from what nobody watches."""
        ...

    def find(
        self, changes: Sequence[Change], as_now: Collection[ChangeId] = ()
    ) -> Sequence[Subject]:
        """Everyone whom *changes* concern, still without names; those of one change together.

        For those of *as_now* the value is what the SIS says now, whatever they say themselves.
        A handful of queries, however many changes there are. Raises BrokenQuery where the SIS
        refuses one of them.
        """
        ...

    def is_of_one_row(self, change: Change, record: str) -> bool:
        """Whether only changes of the same row as *change*, and releases, tell of this *record*."""
        ...

    def rows_gone(self, changes: Sequence[Change]) -> Mapping[ChangeId, str]:
        """The names of the rows that *changes* deleted, as subjects have them; raises as `find`."""
        ...


@dataclass(frozen=True, slots=True)
class Sorted:
    """Changes by what they are for.

    *gone* are those of records that deleted a row, where that is news.
    """

    of_records: Sequence[Change]
    of_directory: Sequence[Change]
    unknown: Sequence[Change]
    gone: Sequence[Change] = ()


class Known(NamedTuple):
    """First *names*; and those *doubted* of whom nobody knows who may be told, with the problem.

    A change of their rights could not be read, or for too long the directory could not.
    """

    names: Mapping[StudentId, str]
    doubted: Mapping[StudentId, Unprocessable]


class Directory(Protocol):
    """Our copy of the schools, calendars, terms, people, students and rights of the SIS.

    Both methods ask the SIS, so they are called while no transaction of ours is open.
    """

    def follow(self, changes: Sequence[Change]) -> None:
        """Read again the rows that *changes* of the directory concern.

        What is decided afterwards, by whatever process, is decided on a directory in which these
        changes were applied. The same change may be followed any number of times. Raises
        BrokenQuery where the SIS refuses a query; then none of them was followed.
        """
        ...

    def known(self, students: Collection[StudentId]) -> Known:
        """What is known of *students*; whom we do not know is read first, with their rights.

        While the SIS refuses the queries for that, who is not known has no name here. Where the
        directory could not be read for too long, it is tried here, now and then.
        """
        ...
