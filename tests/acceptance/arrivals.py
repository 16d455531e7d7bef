"""Every text in the order in which it came to its phone, compared with what the SIS has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from threading import Lock
from typing import NamedTuple

from engine.trial.phones.devices import Received
from tests.acceptance.screens import Place, Score, Screens, read


class Text(NamedTuple):
    """A text that came: its points, and when (seconds since 1970)."""

    points: float
    at: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that is not as it should be: its newest points in the SIS, and what came."""

    place: Place
    newest: float
    came: Sequence[Text]

    def __str__(self) -> str:
        texts = ", ".join(
            f"{one.points:g} at {datetime.fromtimestamp(one.at, UTC):%H:%M:%S.%f}"
            for one in self.came
        )
        token = self.place.token.rstrip("x:").lstrip("0")
        return f"{self.place.title} on {token} is {self.newest:g}, came {texts or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What phones received of some changes, each of which added a point to a score.

    *texts* came in all. *wrong* show another text than the newest, *lost* show none that is of
    these changes. *invented* received points that the SIS never had, or that families may not
    see. *twice* show two texts in one place. *late* counts texts that came after a newer one of
    the same place, *repeated* those that came again.
    """

    texts: int = 0
    wrong: Sequence[Difference] = ()
    lost: Sequence[Difference] = ()
    invented: Sequence[Difference] = ()
    twice: Sequence[Difference] = ()
    late: Sequence[Text] = ()
    repeated: int = 0

    @property
    def is_right(self) -> bool:
        """Whether each place shows the newest text, once, and nobody received anything else."""
        return not (self.wrong or self.lost or self.invented or self.twice)


@dataclass(slots=True)
class Arrivals:
    """What came since `forget`. `hear` is what the phones call, in the thread that serves."""

    _came: defaultdict[Place, list[Text]] = field(default_factory=lambda: defaultdict(list))
    _lock: Lock = field(default_factory=Lock)

    def hear(self, received: Received) -> None:
        """Take note of an accepted push."""
        place, points = read(received)
        with self._lock:
            self._came[place].append(Text(points, received.at.timestamp()))

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._came.clear()

    def came(self) -> Mapping[Place, Sequence[Text]]:
        """The texts that came to each place, in their order."""
        with self._lock:
            return {place: tuple(texts) for place, texts in self._came.items()}

    def compare(
        self, before: Sequence[Score], now: Sequence[Score], screens: Screens
    ) -> Comparison:
        """What came between two looks at the same scores, and the screens, against the second."""
        old = {score.place: score.points for score in before}
        new = {score.place: score.points for score in now}
        changed = [place for place, points in new.items() if points != old.get(place)]
        came = self.came()
        points = {place: [text.points for text in texts] for place, texts in came.items()}
        on_screen = _by_place(screens)

        def differ(places: Sequence[Place], is_wrong: Callable[[Place], bool]) -> list[Difference]:
            return [
                Difference(place, new.get(place, 0), came.get(place, ()))
                for place in places
                if is_wrong(place)
            ]

        return Comparison(
            texts=sum(map(len, came.values())),
            wrong=differ(
                changed, lambda one: one in came and set(on_screen.get(one, ())) != {new[one]}
            ),
            lost=differ(changed, lambda one: one not in came),
            invented=differ(
                list(came), lambda one: not set(points[one]) <= _steps(old.get(one), new.get(one))
            ),
            twice=differ(changed, lambda one: len(on_screen.get(one, ())) > 1),
            late=[text for texts in came.values() for text in _late(texts)],
            repeated=sum(len(one) - len(set(one)) for one in points.values()),
        )


def _by_place(screens: Screens) -> Mapping[Place, Sequence[float]]:
    found: dict[Place, list[float]] = defaultdict(list)
    for (place, points), count in screens.items():
        found[place] += [points] * count
    return found


def _steps(old: float | None, new: float | None) -> set[float]:
    """Every value that a score had after *old*, up to *new*."""
    if old is None or new is None:
        return set()
    return {old + step for step in range(1, round(new - old) + 1)}


def _late(texts: Sequence[Text]) -> list[Text]:
    """Those that came after one with more points; what merely comes again is not late."""
    highest = accumulate((text.points for text in texts), max)
    return [text for before, text in zip(highest, texts[1:], strict=False) if text.points < before]
