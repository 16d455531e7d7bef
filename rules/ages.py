"""Ages: how old somebody is on a day."""

from __future__ import annotations

from datetime import date


def years(born: date, today: date) -> int:
    """In whole years. Who was born on 29 February has a birthday on 1 March where there is none."""
    had_birthday = (today.month, today.day) >= (born.month, born.day)
    return today.year - born.year - (not had_birthday)
