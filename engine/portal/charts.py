"""Charts as shapes: what a template needs to draw bars, in units of their own picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 600
HEIGHT: Final = 96
_FILLED: Final = 0.8  # of the place of a bar
_LEAST: Final = 2.0  # so that one of a thousand is seen


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars from left to right; *path* is the `d` of an SVG path within WIDTH by HEIGHT."""

    values: Sequence[int]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.values)

    @property
    def most(self) -> int:
        """The highest."""
        return max(self.values, default=0)

    @property
    def latest(self) -> int:
        """The last but one: the last place is of a minute that is not over."""
        return self.values[-2] if len(self.values) > 1 else 0

    @property
    def path(self) -> str:
        """The shapes of all bars that are not 0."""
        place, most = WIDTH / max(1, len(self.values)), self.most
        return "".join(
            f"M{number * place:.1f} {HEIGHT}v-{_height(value, most):.1f}"
            f"h{place * _FILLED:.1f}V{HEIGHT}z"
            for number, value in enumerate(self.values)
            if value
        )


def _height(value: int, most: int) -> float:
    return max(_LEAST, HEIGHT * value / most)


def share(value: int, most: int) -> float:
    """The length of a bar, in hundredths of the longest."""
    return round(100 * value / most, 1) if most else 0.0
