"""Plays the acts, and holds what came to the phones against what is written beside each act."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.errors import Unavailable
from engine.runtime.clock import utc_now
from engine.services import settings, why
from engine.services.actor import Actor
from engine.services.why import Answer
from engine.trial.demo.acts import ACTS, Act, Scene, Why
from engine.trial.demo.expected import Difference, Shown, Text, arrivals, compare, screens
from engine.trial.demo.quiet import Remaining, wait_until_quiet
from engine.trial.demo.running import Check, last_words
from engine.trial.demo.terminal import Terminal
from engine.trial.demo.world import World
from engine.trial.reference import day
from rules.change import PersonId, StudentId

QUIET_LIMIT: Final = 60.0  # seconds in which an act must have had all of its effect
STABLE_FOR: Final = 1.0  # seconds in which nothing more may come: a retry is looked for every one


@dataclass(frozen=True, slots=True)
class Explained:
    """What `why` said, beside what it must say."""

    asked: Why
    answer: Answer | None

    @property
    def is_right(self) -> bool:
        """Whether the reason is the expected one."""
        return self.answer is not None and self.answer.reason is self.asked.reason


@dataclass(slots=True)
class Findings:
    """What came of the day, and all that was not as written."""

    differences: list[tuple[str, Difference]] = field(default_factory=list)
    stuck: Remaining | None = None
    explained: list[Explained] = field(default_factory=list)
    repeated: int = 0

    @property
    def as_written(self) -> bool:
        """Every text came to its phone, once, and nothing else; every reason is the right one."""
        return not (
            self.differences
            or self.stuck
            or self.repeated
            or any(not one.is_right for one in self.explained)
        )


class Play:
    """One day in one world."""

    def __init__(
        self,
        world: World,
        terminal: Terminal,
        check: Check,
        *,
        pause: float = 0.0,
        limit: float = QUIET_LIMIT,
    ) -> None:
        self._world = world
        self._terminal = terminal
        self._check = check
        self._pause = pause
        self._limit = limit
        self._scene = Scene(
            world.sis, world.school, world.crowd, self._switch, world.program.write_to_class
        )
        self._came: dict[str, list[Text]] = defaultdict(list)
        self.findings = Findings()

    def warm_up(self) -> None:
        """Wait until the engine takes part: until it knows of a change that nobody hears of.

        Raises Unavailable when it never does.
        """
        with self._world.sis.begin() as connection:
            day.set_language(connection, self._world.school.people["Linh"], "vi")
        left = wait_until_quiet(self._world.district, self._limit, self._look)
        if not left.is_quiet:
            raise Unavailable(
                f"The engine has not begun its work within {self._limit:.0f} seconds: {left}.",
                f"The last words of its log are:\n{last_words(self._world.log)}",
            )

    def run(self, acts: Sequence[Act] = ACTS) -> Findings:
        """Play *acts* until the end, or until one has no end; then look at every screen."""
        played: list[Shown] = []
        for act in acts:
            self._play(act)
            played += act.expected(self._world.crowd)
            if self.findings.stuck:
                break
        self._terminal.wait("Nothing more may come", STABLE_FOR)
        self._come_in()
        self._differ("afterwards", compare({}, self._came))
        self._differ("on the screens", compare(screens(played), self._world.on_screens()))
        self.findings.repeated = self._world.phones.devices.counts().repeated
        return self.findings

    def _play(self, act: Act) -> None:
        self._terminal.begin(act)
        known = self._ask(act)
        self._came = defaultdict(list)
        act.play(self._scene)
        left = wait_until_quiet(self._world.district, self._limit, self._look)
        self._come_in()
        if not left.is_quiet:
            self.findings.stuck = left
        differences = compare(arrivals(act.expected(self._world.crowd)), self._came)
        self._differ(f"at {act.time}", differences)
        self.findings.explained += (
            Explained(asked, new if new != old else None)
            for asked, old, new in zip(act.why, known, self._ask(act), strict=True)
        )
        self._terminal.end(act, self._came, differences)
        self._came = defaultdict(list)
        self._terminal.wait("The day goes on", self._pause)

    def _look(self, left: Remaining) -> None:
        self._check()
        self._terminal.under_way(left)
        self._come_in()

    def _come_in(self) -> None:
        """Take what has come to the phones since the last look."""
        for phone, words in self._world.arrivals():
            self._came[phone].append(words)
            self._terminal.arrived(phone, words)

    def _differ(self, when: str, differences: Sequence[Difference]) -> None:
        self.findings.differences += ((when, difference) for difference in differences)

    def _ask(self, act: Act) -> list[Answer | None]:
        """Ask, as staff would, what became of the newest change for those whom the act names."""
        school, answers = self._world.school, []
        for asked in act.why:
            student = StudentId(str(school.students[asked.student]))
            person = PersonId(str(school.people[asked.person]))
            decided = why.decided(
                self._world.district.database, student, person, utc_now(), limit=1
            )
            answers.append(decided[0] if decided else None)
        return answers

    def _switch(self, enabled: bool) -> None:
        switch = settings.enable if enabled else settings.disable
        switch(self._world.district.database, Actor("the demonstration", utc_now()))
