"""The directory: schools, calendars, terms, people, students and rights, in step with the source.

    who         who and what the SIS is about
    versions    which reading is newer, and whether what stands here is believed
    comparing   what a full read lists otherwise
    applying    making the directory equal to what was read
    leaving     who leaves, and who is somebody else
    rows        the rows themselves

The directory has a version, and each transaction that applies a reading makes a new one. A reading
is based on the version that was current before the SIS was asked. Where other readings of the same
rows were applied since, nobody can tell which of them is newer: then the row in question is left
as it is, and read again. So no row ever goes back to an older state, in whatever order readings
begin, end and are applied, and from whatever process (decision 18).
"""

from __future__ import annotations

from engine.store.directory.applying import apply, apply_all
from engine.store.directory.comparing import Difference, compare, refuse_shrinking
from engine.store.directory.rows import TABLES
from engine.store.directory.versions import (
    doubt,
    doubted,
    is_in_step,
    read_at,
    version,
    was_read,
)
from engine.store.directory.who import (
    full_names,
    identity_of,
    identity_of_student,
    ids_of,
    knows_person,
    knows_student,
    names,
    restricted,
    schools_of,
)

__all__ = [
    "TABLES",
    "Difference",
    "apply",
    "apply_all",
    "compare",
    "doubt",
    "doubted",
    "full_names",
    "identity_of",
    "identity_of_student",
    "ids_of",
    "is_in_step",
    "knows_person",
    "knows_student",
    "names",
    "read_at",
    "refuse_shrinking",
    "restricted",
    "schools_of",
    "version",
    "was_read",
]
