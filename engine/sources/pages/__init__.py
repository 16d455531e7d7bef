"""The pages from which staff send broadcasts, as the queries of the definition give them.

In:         a page, what it is narrowed to, its order, and where the reader stopped.
Out:        a bounded slice of its rows; how many there are; or the students behind all rows that
            are chosen.
A page gives nobody a right: who may be told about a student, the directory says.
"""

from __future__ import annotations

from engine.sources.pages.narrowing import EVERYTHING, Days, Narrowed
from engine.sources.pages.order import BY_NAME, Mark, Order
from engine.sources.pages.rows import (
    Camp,
    CampEnrollment,
    ClassEnrollment,
    Family,
    Page,
    PageRow,
    SchoolClass,
    Student,
    columns,
    needed_columns,
)
from engine.sources.pages.sis_pages import Chosen, Look, SisPages

__all__ = [
    "BY_NAME",
    "EVERYTHING",
    "Camp",
    "CampEnrollment",
    "Chosen",
    "ClassEnrollment",
    "Days",
    "Family",
    "Look",
    "Mark",
    "Narrowed",
    "Order",
    "Page",
    "PageRow",
    "SchoolClass",
    "SisPages",
    "Student",
    "columns",
    "needed_columns",
]
