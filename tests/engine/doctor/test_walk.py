"""The walk along the hops, and what the command makes of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from engine.config import Config
from engine.doctor.diagnosis import Diagnosis, State, Who, broken, ok
from engine.doctor.hops import HOPS, Hop, walk
from engine.errors import Misconfigured
from tests.engine.cli.commands import Bell
from tests.servers import free_port


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def bell(original: Bell, tmp_path: Path) -> Bell:
    """An installed district that this test may spoil."""
    return original.copy_to(tmp_path)


def hop(examine: Callable[[Config], Diagnosis], name: str = "one") -> Hop:
    return Hop(name, examine, Who.BROKER, "It means this.")


def well(_: Config) -> Diagnosis:
    return ok("fine")


def test_the_order_of_the_hops() -> None:
    names = [hop.name for hop in HOPS]
    told = [
        "configuration", "disk", "database", "migrations", "capture", "broker: name",
        "broker: port", "broker: TLS", "broker: login", "broker: vhost", "broker: permissions",
        "broker: queues", "hub: name", "hub: queues", "clock", "FCM: access token",
        "FCM: dry run", "APNs: key",
    ]  # fmt: skip
    assert [name for name in names if name in told] == told


def test_it_stops_at_the_first_broken_hop(bell: Bell) -> None:
    def bad(_: Config) -> Diagnosis:
        return broken("It is broken.", "Badly.", Who.SIS, "Mend it.")

    hops = [hop(well, "first"), hop(bad, "second"), hop(well, "third")]
    assert [one.hop for one in walk(bell.config_file, hops)] == ["first", "second"]


def test_an_error_is_told_with_its_own_remedy(bell: Bell) -> None:
    def fail(_: Config) -> Diagnosis:
        raise Misconfigured("It refuses.", "Do that.")

    (found,) = walk(bell.config_file, [hop(fail)])
    assert found == replace(
        broken("It refuses.", "It means this.", Who.BROKER, "Do that."), hop="one"
    )


def test_a_fault_of_the_program_is_no_diagnosis(bell: Bell) -> None:
    def fail(_: Config) -> Diagnosis:
        raise AssertionError("a fault of ours")

    with pytest.raises(AssertionError, match="a fault of ours"):
        list(walk(bell.config_file, [hop(fail)]))


def test_what_hangs_is_named_all_the_same(bell: Bell) -> None:
    for_ever = Event()

    def hang(_: Config) -> Diagnosis:
        for_ever.wait()
        return ok("too late")

    (found,) = walk(bell.config_file, [hop(hang)], limit=0.05)
    for_ever.set()
    assert found.state is State.BROKEN
    assert "No answer within" in found.found
    assert found.who == Who.BROKER


def test_a_configuration_that_is_not_there_is_the_first_broken_hop(tmp_path: Path) -> None:
    (found,) = walk(tmp_path / "none.toml")
    assert found.hop == "configuration"
    assert found.state is State.BROKEN
    assert "config.example.toml" in found.remedy


def test_the_command_says_that_all_is_well_and_exits_0(bell: Bell) -> None:
    done = bell.run("doctor")
    assert done.exit_code == 0, done.output
    assert "✓ capture" in done.stdout
    assert "· hub: port" in done.stdout
    assert "not used here" in done.stdout
    assert "Every hop is well." in done.stdout


def test_the_command_explains_the_broken_hop_and_exits_1(bell: Bell) -> None:
    port = free_port()
    with bell.config_file.open("a") as config:
        config.write(f'[hub]\nurl = "amqps://us:secret@127.0.0.1:{port}/springfield"\n')
    done = bell.run("doctor")
    assert done.exit_code == 1
    for words in (
        f"✗ hub: port           127.0.0.1:{port} refuses connections.",
        "What it means",
        "Who can mend it\n    The operator of the hub.",
        "For the firewall's administrator",
        f"port {port}",
    ):
        assert words in done.stdout
    assert "secret" not in done.output
    assert "hub: TLS" not in done.stdout


def test_machines_are_told_the_same(bell: Bell) -> None:
    bell("capture", "remove", "--yes")
    done = bell.run("doctor", "--json")
    told = json.loads(done.stdout)
    last = told["hops"][-1]
    assert done.exit_code == 1
    assert told["ok"] is False
    assert (last["hop"], last["state"], last["firewall"]) == ("capture", "broken", None)
    assert last["remedy"] == "Run `schoolbell capture install`."
    assert [one["state"] for one in told["hops"][:-1]] == ["ok"] * (len(told["hops"]) - 1)
