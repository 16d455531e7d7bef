"""Timing: how long a push is worth sending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from rules.change import Kind

# News of an absence or a moved session helps the same day; a grade still does tomorrow.
WORTH_SENDING_FOR: Final[Mapping[Kind, timedelta]] = {
    Kind.ASSIGNMENT: timedelta(hours=24),
    Kind.GRADE: timedelta(hours=24),
    Kind.ATTENDANCE: timedelta(hours=6),
    Kind.MEAL_BALANCE: timedelta(hours=24),
    Kind.RESPONSIVE_SCHEDULE: timedelta(hours=12),
}
