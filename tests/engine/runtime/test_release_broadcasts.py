"""Broadcasts are released in portions, and no faster than they are delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.ports import Depth, Queue
from engine.runtime.jobs import ReleaseBroadcasts
from tests.fakes import FakeBroker

PORTION = 250  # pushes
IN_A_MESSAGE = 25  # of each partition a message


@dataclass
class Road:
    """People who wait, and a broker that is asked what waits there. Deliver takes what it can."""

    people: int
    delivered_between_looks: int = 0
    messages: int = 0
    portions: int = 0
    looks: int = 0
    news: int = 0
    pauses: list[float] = field(default_factory=list)

    def release(self) -> int:
        told = min(PORTION, self.people)
        self.people -= told
        self.messages += -(-told // IN_A_MESSAGE)
        self.portions += bool(told)
        return told

    def job(self) -> ReleaseBroadcasts:
        return ReleaseBroadcasts(self.release, AskedBroker(self), self.pauses.append)


class AskedBroker(FakeBroker):
    def __init__(self, road: Road) -> None:
        super().__init__()
        self.road = road

    def depths(self) -> Mapping[Queue, Depth]:
        self.road.looks += 1
        self.road.messages = max(0, self.road.messages - self.road.delivered_between_looks)
        return {queue: Depth(0, 0) for queue in Queue} | {
            Queue.BROADCASTS: Depth(self.road.messages, 0),
            Queue.CHANGES: Depth(self.road.news, 0),
        }


def test_while_nothing_is_due_the_broker_is_not_asked() -> None:
    road = Road(people=0)
    job = road.job()
    for _ in range(3):
        job()
    assert road.looks == 0


def test_a_small_one_goes_at_once() -> None:
    road = Road(people=300)
    road.job()()
    assert (road.people, road.looks) == (0, 0)


def test_a_large_one_stops_when_enough_waits_to_be_delivered() -> None:
    road = Road(people=100_000)
    job = road.job()
    job()
    assert road.messages <= 200
    assert road.people > 90_000, "what is not published can still be cancelled"
    left = road.people
    job()
    assert road.people == left, "nothing was delivered meanwhile"


def test_a_large_one_goes_on_as_fast_as_it_is_delivered() -> None:
    road = Road(people=100_000, delivered_between_looks=100)
    job = road.job()
    job()
    assert road.people == 0
    assert road.messages <= 200


def test_after_each_portion_others_may_write() -> None:
    road = Road(people=1_000)
    road.job()()
    assert len(road.pauses) == road.portions == 4


def test_while_news_waits_a_portion_goes_each_time_and_no_more() -> None:
    road = Road(people=100_000, delivered_between_looks=100)
    job = road.job()
    road.people = PORTION * 4
    job()
    road.people, road.portions, road.news = 100_000, 0, 7
    job()
    before = road.portions
    job()
    job()
    assert road.portions == before + 2, "it is not starved"
    road.news = 0
    job()
    assert road.people == 0
