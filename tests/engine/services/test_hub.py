"""The two sides of a hub: which stages run where, and what its operator sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.broker.hub_link import LinkedBroker
from engine.cli.main import cli
from engine.config import load
from engine.errors import ConfigError, SchoolbellError, Unavailable
from engine.ports import LANES, Depth, Parked, Queue
from engine.runtime.installation import Installation, open_installation
from engine.runtime.stage import STAGES
from engine.services import hub
from rules.lanes import Lane
from tests.builders import publications
from tests.fakes import FakeBroker

HUB = """
[broker]
url = "amqps://hub:secret@localhost:1"
[deliver]
districts = ["north", "south"]
"""
LINKED = """
[district]
id = "north"
[hub]
url = "amqps://north:secret@localhost:1/north"
"""


def installation_of(folder: Path, text: str) -> Installation:
    (folder / "schoolbell.toml").write_text(text)
    return open_installation(load(folder / "schoolbell.toml"))


def schoolbell(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(folder / "schoolbell.toml"), *words])


def test_a_hub_delivers_and_does_nothing_else(tmp_path: Path) -> None:
    assert installation_of(tmp_path, HUB).stages == ("deliver",)


def test_with_a_hub_a_district_does_all_but_deliver(tmp_path: Path) -> None:
    assert set(STAGES) - set(installation_of(tmp_path, LINKED).stages) == {"deliver"}


@pytest.mark.parametrize(
    ("text", "stage", "where"),
    [(HUB, "evaluate", "in each district"), (LINKED, "deliver", "at the hub")],
    ids=["evaluate at a hub", "deliver with a hub"],
)
def test_a_stage_of_the_other_side_is_refused(
    tmp_path: Path, text: str, stage: str, where: str
) -> None:
    installation_of(tmp_path, text)
    refused = schoolbell(tmp_path, "run", stage).exception
    assert isinstance(refused, ConfigError)
    assert where in refused.problem


def test_a_hub_makes_no_database_and_says_where_to_ask(tmp_path: Path) -> None:
    installation_of(tmp_path, HUB)
    refused = schoolbell(tmp_path, "why", "--student", "1", "--person", "2").exception
    assert isinstance(refused, ConfigError)
    assert "in the district" in refused.problem
    assert [file.name for file in tmp_path.iterdir()] == ["schoolbell.toml"]


@pytest.mark.parametrize("wrong", ["North", "no/rth", ""])
def test_a_district_that_cannot_name_a_vhost_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match="districts"):
        installation_of(tmp_path, HUB.replace('"south"', f'"{wrong}"'))


def test_a_hubs_broker_url_names_no_vhost(tmp_path: Path) -> None:
    installation = installation_of(tmp_path, HUB.replace(":1", ":1/north"))
    with pytest.raises(ConfigError, match="each district has its own"):
        _ = installation.brokers


@pytest.mark.parametrize(
    ("ours", "theirs"), [('id = "north"', 'id = "north-high"'), ('id = "north"', "")]
)
def test_a_district_of_another_name_than_its_vhost_is_told_so(
    tmp_path: Path, ours: str, theirs: str
) -> None:
    installation = installation_of(tmp_path, LINKED.replace(ours, theirs))
    with pytest.raises(ConfigError, match=r"The vhost in \[hub\] url is north") as refused:
        _ = installation.broker
    assert 'Write id = "north" in [district]' in refused.value.remedy


# --- what the operator sees ------------------------------------------------------------------


class BrokerAway(FakeBroker):
    """Cannot be reached."""

    def depths(self) -> Mapping[Queue, Depth]:
        raise Unavailable("The broker at hub:5671 cannot be reached.", "Wait.")


def test_a_district_that_cannot_be_reached_hides_no_other() -> None:
    brokers = {"north": BrokerAway(), "south": FakeBroker({Queue.PUSHES: 7})}
    north, south = hub.look(brokers).districts
    assert not north.healthy
    assert "cannot be reached" in north.problem
    assert south.healthy
    assert south.queues[Queue.PUSHES].ready == 7


def test_status_at_a_hub_names_each_district_and_exits_1(tmp_path: Path) -> None:
    installation_of(tmp_path, HUB)
    shown = schoolbell(tmp_path, "status")
    assert shown.exit_code == 1
    assert "north" in shown.output
    assert "south" in shown.output
    assert "secret" not in shown.output


# --- the link ----------------------------------------------------------------------------------


class Named(FakeBroker):
    """Says who it is when it installs."""

    def __init__(self, name: str) -> None:
        super().__init__({queue: len(name) for queue in Queue})
        self.name = name

    def install(self) -> Sequence[str]:
        return [self.name]


def test_changes_stay_in_the_district_and_the_rest_goes_to_the_hub() -> None:
    own, far = Named("own"), Named("at the hub")
    linked = LinkedBroker(own, far)
    publisher = linked.publisher()
    for queue in Queue:
        publisher.publish(queue, publications([queue.encode()]))
        linked.consumer(queue, 1)
    assert [queue for queue, _ in own.made.published] == [Queue.CHANGES]
    assert [queue for queue, _ in far.made.published] == [*LANES.values(), Queue.OUTCOMES]
    assert [queue for queue, _ in own.asked] == [Queue.CHANGES]
    assert [queue for queue, _ in far.asked] == [*LANES.values(), Queue.OUTCOMES]
    assert {queue: depth.ready for queue, depth in linked.depths().items()} == {
        Queue.CHANGES: 3,
        Queue.PUSHES: 10,
        Queue.BROADCASTS: 10,
        Queue.OUTCOMES: 10,
    }
    assert linked.install() == ["own", "at the hub"]


def test_parked_pushes_are_the_hubs_to_look_at() -> None:
    class Refusing(FakeBroker):
        def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
            assert queue not in LANES.values()
            return [Parked(b"", f"{queue}, {limit} at most")]

        def requeue_parked(self, queue: Queue, limit: int) -> int:
            assert queue not in LANES.values()
            return limit

    linked = LinkedBroker(Refusing(), Refusing())
    assert [len(linked.parked(queue, 3)) for queue in Queue] == [1, 0, 0, 1]
    assert [linked.requeue_parked(queue, 3) for queue in Queue] == [3, 0, 0, 3]


def test_what_is_wrong_at_the_hub_is_said_to_be_wrong_there() -> None:
    with pytest.raises(Unavailable, match="At the hub: "):
        LinkedBroker(FakeBroker(), BrokerAway()).depths()


@pytest.mark.parametrize("lane", Lane)
def test_pushes_that_nobody_takes_are_seen_at_the_hub(lane: Lane) -> None:
    class NobodyThere(FakeBroker):
        def depths(self) -> Mapping[Queue, Depth]:
            empty = {queue: Depth(0, 0, consumers=0) for queue in Queue}
            return empty | {LANES[lane]: Depth(2, 0, consumers=0)}

    (north,) = hub.look({"north": NobodyThere()}).districts
    assert not north.healthy
    assert "nobody takes them" in north.problem


def test_closing_the_link_closes_both_ends_though_one_fails() -> None:
    own, far = FakeBroker(), FakeBroker()

    def fail() -> None:
        raise SchoolbellError("broken", "mend it")

    own.made.close = fail  # type: ignore[method-assign]
    with pytest.raises(SchoolbellError):
        LinkedBroker(own, far).publisher().close()
    assert far.made.closed
