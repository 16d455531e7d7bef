"""The phones as one thing: start, stop, start again, and what is said when a port is taken."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import SchoolbellError
from engine.trial.phones.devices import Received, ignore
from engine.trial.phones.fault import Fault
from engine.trial.phones.phones import Behaviour, Phones, run_phones
from engine.trial.phones.server import PortInUse
from tests.engine.trial.phones.support import (
    BareClient,
    Clock,
    Curl,
    a_message,
    access_token,
    apns_post,
    fcm_post,
    is_goodbye,
    is_settings,
    provider_token,
)


def send(phones: Phones) -> int:
    [response] = Curl(phones).send([fcm_post(phones, access_token(phones), a_message())])
    return response.status


def test_a_push_to_fcm_and_one_to_apns_reach_their_phones(
    start: Callable[..., Phones],
) -> None:
    heard: list[Received] = []
    phones = start(on_push=heard.append)
    payload = {"aps": {"alert": {"title": "Quiz 4", "body": "Ada scored 92."}}}
    [fcm] = Curl(phones).send([fcm_post(phones, access_token(phones), a_message())])
    [apns] = Curl(phones).send([apns_post(phones, provider_token(phones), payload)])
    assert (fcm.status, apns.status) == (200, 200)
    assert [(received.kind, received.body) for received in heard] == [
        ("fcm", "Ada scored 92."),
        ("apns", "Ada scored 92."),
    ]
    assert [received.message_id for received in heard] == [
        fcm.json()["name"].rpartition("/")[2],
        apns.headers["apns-id"],
    ]


def test_after_a_restart_ports_keys_and_tokens_are_the_same(start: Callable[..., Phones]) -> None:
    phones = start()
    ports = (phones.fcm_port, phones.apns_port, phones.control_port)
    token = access_token(phones)
    phones.stop()
    phones.start()
    assert (phones.fcm_port, phones.apns_port, phones.control_port) == ports
    [response] = Curl(phones).send([fcm_post(phones, token, a_message())])
    assert response.status == 200


def test_what_arrived_before_a_stop_is_still_known_after_it(start: Callable[..., Phones]) -> None:
    phones = start()
    send(phones)
    phones.stop()
    assert phones.devices.received().last == 1
    phones.start()
    send(phones)
    assert phones.devices.received().last == 2


def test_stopping_says_goodbye_to_every_client(start: Callable[..., Phones]) -> None:
    phones = start()
    with BareClient(phones.fcm_port, phones.settings["fcm"]["ca_file"]) as client:
        client.until(is_settings)
        phones.stop()
        assert any(is_goodbye(event) for event in client.until(is_goodbye))


def test_stopping_twice_or_before_a_start_is_fine(key_folder: Path) -> None:
    phones = Phones(key_folder)
    phones.stop()
    with phones:
        pass
    phones.stop()


def test_the_clock_can_be_another(start: Callable[..., Phones], clock: Clock) -> None:
    phones = start(now=clock)
    token = provider_token(phones, issued_at=clock())
    clock.go(hours=2)
    [response] = Curl(phones).send([apns_post(phones, token, {"aps": {"alert": "Hello"}})])
    assert (response.status, response.json()["reason"]) == (403, "ExpiredProviderToken")


def test_how_much_fcm_takes_is_a_setting(start: Callable[..., Phones]) -> None:
    phones = start(behaviour=Behaviour(fcm_a_minute=2))
    assert [send(phones) for _ in range(3)] == [200, 200, 429]
    phones = start(behaviour=Behaviour(fcm_a_minute_to_a_device=1))
    assert [send(phones) for _ in range(2)] == [200, 429]


def test_faults_are_injected_and_cleared_from_any_thread(start: Callable[..., Phones]) -> None:
    phones = start()
    phones.inject(Fault("fcm", "UNAVAILABLE"))
    assert send(phones) == 503
    [active] = phones.active_faults
    assert active.struck == 1
    phones.clear_faults()
    assert send(phones) == 200


@pytest.mark.parametrize("which", ["fcm_port", "apns_port", "control_port"])
def test_a_port_that_is_taken_is_named_with_a_remedy(key_folder: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        phones = Phones(key_folder, **{which: port})
        with pytest.raises(PortInUse) as raised:
            phones.start()
    assert isinstance(raised.value, SchoolbellError)
    assert raised.value.port == port
    assert f"Port {port}" in raised.value.problem
    assert "another port" in raised.value.remedy


def test_when_one_port_is_taken_the_others_are_given_back(key_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        phones = Phones(key_folder, control_port=other.getsockname()[1])
        with pytest.raises(PortInUse):
            phones.start()
    with phones:
        assert send(phones) == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_as_a_program_they_run_until_a_signal(key_folder: Path, number: signal.Signals) -> None:
    ready: list[Phones] = []

    def on_ready(phones: Phones) -> None:
        ready.append(phones)
        socket.create_connection(("127.0.0.1", phones.control_port)).close()
        signal.raise_signal(number)

    run_phones(key_folder, 0, 0, 0, ignore, on_ready)
    [phones] = ready
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", phones.control_port))


def test_an_error_of_the_caller_at_the_start_ends_the_program_and_frees_the_ports(
    key_folder: Path,
) -> None:
    ports: list[int] = []

    def fail(phones: Phones) -> None:
        ports.append(phones.control_port)
        raise RuntimeError("nowhere to print")

    with pytest.raises(RuntimeError, match="nowhere to print"):
        run_phones(key_folder, 0, 0, 0, ignore, fail)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]))


def test_as_a_program_a_taken_port_is_named_too(key_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PortInUse):
        run_phones(key_folder, other.getsockname()[1], 0, 0, ignore)
