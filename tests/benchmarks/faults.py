"""Faults at random while changes pass, round by round, and what the phones show after each.

    python -m tests.benchmarks.faults --faults 200 --changes 200000 --seed 1

Each round writes its part of the changes while its part of the faults strike, waits until nothing
moves any more, and compares every screen with the SIS. A round is one line of the file of
results; the same command goes on after the last round that is in it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec
import psycopg

from engine.errors import SchoolbellError
from engine.runtime.clock import utc_now
from engine.services import parked
from engine.services.status import of_district
from engine.trial.phones.phones import Behaviour, Phones
from tests.acceptance.arrivals import Arrivals, Comparison, Text
from tests.acceptance.faults import Strike, Target, faults, without_scores
from tests.acceptance.screens import Score, insist, scores, shown
from tests.acceptance.stage_processes import StageProcesses
from tests.acceptance.writer import Writer, let_clocks_be_wrong
from tests.servers import Sandbox, ServerError
from tests.site import production_site

ALL: Final = 1_000_000_000
LOST_AFTER: Final = 30  # seconds without an outcome after which a push is looked for
_SWEEP: Final = 60  # seconds between two such looks
_STILL: Final = 5.0  # seconds without any text
_PATIENCE: Final = 600.0  # seconds for everything to come to rest
_SHOWN: Final = 20  # differences of a round that are told one by one


class Round(msgspec.Struct, frozen=True):
    """What one round came to.

    *struck* are its faults with the moments at which they began, *late* counts the texts that
    came late by the second in which they came.
    """

    seed: int
    number: int
    changes: int
    struck: Sequence[tuple[str, str]]
    texts: int
    late: Mapping[str, int]
    repeated: int
    wrong: Sequence[str]
    lost: Sequence[str]
    invented: Sequence[str]
    twice: Sequence[str]
    seconds: float
    at_rest: bool


@click.command()
@click.option("--faults", "fault_count", default=200, show_default=True)
@click.option("--changes", default=200_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--rounds", default=20, show_default=True, help="Into how many it is divided.")
@click.option("--students", default=600, show_default=True)
@click.option("--rate", default=300.0, show_default=True, help="Changes a second.")
@click.option("--only", multiple=True, help="Part of a fault's name; may be repeated. [all]")
@click.option(
    "--results",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("faults.jsonl"),
    show_default=True,
    help="Where each round is written, and looked up when the run goes on.",
)
def main(
    fault_count: int,
    changes: int,
    seed: int,
    rounds: int,
    students: int,
    rate: float,
    only: tuple[str, ...],
    results: Path,
) -> None:
    """Let faults strike while changes pass, and say whether every screen is right."""
    done = _read(results, seed)
    if len(done) < rounds:
        with _target(students) as (target, arrivals):
            let_clocks_be_wrong(target.site)
            run = _Run(target, arrivals, rate, _chosen(target, only))
            drawn = run.draw(seed, fault_count)
            for number in range(len(done), rounds):
                first, end = (_end(fault_count, rounds, one) for one in (number - 1, number))
                found = run.round(seed, number, drawn[first:end], changes // rounds)
                with results.open("ab") as file:
                    file.write(msgspec.json.encode(found) + b"\n")
                done.append(found)
                _show_round(found)
    _show(done)


class _Run:
    """Rounds on one site."""

    def __init__(
        self,
        target: Target,
        arrivals: Arrivals,
        rate: float,
        chosen: Mapping[str, Strike],
    ) -> None:
        self._target = target
        self._arrivals = arrivals
        self._rate = rate
        self._faults = chosen

    def draw(self, seed: int, count: int) -> Sequence[str]:
        """So many names of faults in an order of chance, none again before all had their turn."""
        chance, drawn = random.Random(seed), list[str]()
        while len(drawn) < count:
            drawn += chance.sample(sorted(self._faults), len(self._faults))
        return drawn[:count]

    def round(self, seed: int, number: int, drawn: Sequence[str], changes: int) -> Round:
        """Write *changes* while the *drawn* faults strike, wait for rest, and compare."""
        target, began = self._target, time.monotonic()
        target.chance.seed(f"{seed} {number}")
        before = scores(target.site, ALL)
        self._arrivals.forget()
        writer = Writer(target.site, before, random.Random(f"writer {seed} {number}"), self._rate)
        struck: list[tuple[str, str]] = []
        with ThreadPoolExecutor(1) as program:
            writing = program.submit(writer.write, changes)
            for name in drawn:
                struck.append(self._strike(name))
            writing.result()
        target.phones.clear_faults()
        at_rest = self._come_to_rest(before)
        found = self._compare(before)
        return Round(
            seed, number, writer.written, struck,
            found.texts, _by_second(found.late), found.repeated,
            _told(found.wrong), _told(found.lost), _told(found.invented), _told(found.twice),
            time.monotonic() - began, at_rest,
        )  # fmt: skip

    def _strike(self, name: str) -> tuple[str, str]:
        self._target.wait(0.2, 3)
        began = datetime.now(UTC)
        try:
            self._faults[name](self._target)
        except (psycopg.Error, ServerError, SchoolbellError) as error:
            click.echo(f"{name} did not strike: {error}", err=True)
        return name, f"{began:%H:%M:%S.%f}"

    def _come_to_rest(self, before: Sequence[Score]) -> bool:
        """Wait until nothing waits anywhere and nothing comes, and what was lost is found.

        What is parked is tried again, as an operator does.
        """
        limit = time.monotonic() + _PATIENCE
        looked_for = time.monotonic() + LOST_AFTER + _SWEEP + 10
        while time.monotonic() < limit:
            texts = self._compare(before).texts
            time.sleep(_STILL)
            found = insist(lambda: of_district(self._target.site.district, utc_now()))
            if found.parked or any(depth.dead for depth in found.queues.values()):
                insist(partial(parked.retry, self._target.site.district))
            waiting = found.waiting_rows + found.retries + found.parked
            waiting += sum(depth.ready + depth.dead for depth in found.queues.values())
            compared = self._compare(before)
            if waiting or compared.texts != texts:
                continue
            if compared.is_right or time.monotonic() > looked_for:
                return True
        return False

    def _compare(self, before: Sequence[Score]) -> Comparison:
        now = insist(partial(scores, self._target.site, ALL))
        return self._arrivals.compare(before, now, shown(self._target.phones))


@contextmanager
def _target(students: int) -> Iterator[tuple[Target, Arrivals]]:
    arrivals = Arrivals()
    with (
        Sandbox("schoolbell-faults") as sandbox,
        Phones(
            sandbox.folder_for("phones"),
            behaviour=Behaviour(remembered=1_000),
            on_push=arrivals.hear,
        ) as phones,
        production_site(students, phones.settings, students_only=True) as site,
        StageProcesses(site, SCHEDULE__LOST_AFTER=f"PT{LOST_AFTER}S") as stages,
    ):
        assert site.postgres is not None
        assert site.rabbit is not None
        definition = without_scores(sandbox.folder)
        chance = random.Random()
        yield Target(site, site.postgres, site.rabbit, phones, stages, chance, definition), arrivals


def _chosen(target: Target, only: Sequence[str]) -> Mapping[str, Strike]:
    found = faults(target.postgres, target.rabbit)
    return {
        name: fault
        for name, fault in found.items()
        if not only or any(part in name for part in only)
    }


def _end(count: int, rounds: int, number: int) -> int:
    """How many of *count* faults have struck at the end of the round with this *number*."""
    return count * (number + 1) // rounds


def _by_second(texts: Sequence[Text]) -> dict[str, int]:
    return Counter(f"{datetime.fromtimestamp(one.at, UTC):%H:%M:%S}" for one in texts)


def _told(differences: Sequence[object]) -> list[str]:
    return [str(one) for one in differences]


def _read(results: Path, seed: int) -> list[Round]:
    if not results.exists():
        return []
    lines = results.read_bytes().splitlines()
    found = [msgspec.json.decode(line, type=Round) for line in lines]
    return [one for one in found if one.seed == seed]


def _show_round(one: Round) -> None:
    late = sum(one.late.values())
    click.echo(
        f"round {one.number}: {one.changes:,} changes, {len(one.struck)} faults, "
        f"{one.texts:,} texts, {len(one.wrong)} wrong, {len(one.lost)} lost, "
        f"{len(one.invented)} invented, {len(one.twice)} shown twice, {late} late, "
        f"{one.repeated} repeated, {one.seconds:.0f} s{'' if one.at_rest else ', never at rest'}"
    )
    for what in ("wrong", "lost", "invented", "twice"):
        for line in getattr(one, what)[:_SHOWN]:
            click.echo(f"  {what}: {line}")
    moments = [*one.struck, *((f"{count} texts came late", at) for at, count in one.late.items())]
    if one.wrong or one.lost or one.invented or one.twice or one.late:
        for name, at in sorted(moments, key=lambda moment: moment[1]):
            click.echo(f"  {at} {name}")


def _show(done: Sequence[Round]) -> None:
    struck = Counter(name for one in done for name, _ in one.struck)
    click.echo("\n| fault | times |\n|---|---|")
    for name, count in sorted(struck.items()):
        click.echo(f"| {name} | {count} |")
    click.echo("\n| of all rounds | |\n|---|---|")
    for what, count in (
        ("faults", struck.total()),
        ("changes", sum(one.changes for one in done)),
        ("texts", sum(one.texts for one in done)),
        ("wrong final texts", sum(len(one.wrong) for one in done)),
        ("late arrivals", sum(sum(one.late.values()) for one in done)),
        ("lost", sum(len(one.lost) for one in done)),
        ("invented", sum(len(one.invented) for one in done)),
        ("shown twice", sum(len(one.twice) for one in done)),
        ("sent again (shown once)", sum(one.repeated for one in done)),
        ("rounds that never came to rest", sum(not one.at_rest for one in done)),
    ):
        click.echo(f"| {what} | {count:,} |")


if __name__ == "__main__":
    main()
