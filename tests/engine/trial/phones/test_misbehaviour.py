"""Faults on the wire: how streams and connections end that do not end in an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
import requests
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

from engine.trial.phones.credentials import PROJECT_ID, TOPIC
from engine.trial.phones.fault import Fault
from engine.trial.phones.phones import Behaviour, Phones
from tests.engine.trial.phones.support import (
    PHONE,
    BareClient,
    a_message,
    access_token,
    is_end,
    is_goodbye,
    is_settings,
    provider_token,
)

IPHONES = [f"{number:064x}" for number in range(5)]


@pytest.fixture
def phones(start: Callable[..., Phones]) -> Phones:
    return start(behaviour=Behaviour(apns_first_streams=100))


@pytest.fixture
def client(phones: Phones) -> Iterator[BareClient]:
    with BareClient(phones.apns_port, phones.settings["apns"]["ca_file"]) as client:
        client.until(is_settings)
        yield client


@pytest.fixture
def send(phones: Phones, client: BareClient) -> Callable[..., list[int]]:
    """Sends a push to each of these phones in one breath; returns the streams."""
    headers = {"authorization": f"bearer {provider_token(phones)}", "apns-topic": TOPIC}

    def send_all(*tokens: str) -> list[int]:
        streams = [client.request(f"/3/device/{token}", headers, b"{}") for token in tokens]
        client.flush()
        return streams

    return send_all


def statuses(events: list[Event]) -> dict[int, str]:
    return {
        event.stream_id: dict(event.headers)[":status"]
        for event in events
        if isinstance(event, ResponseReceived)
    }


def arrived(phones: Phones) -> list[str]:
    return [received.token for received in phones.devices.received().received]


@pytest.mark.parametrize("name", ["silence", "answer_lost"])
def test_a_silent_stream_stays_open_and_its_neighbours_are_answered(
    phones: Phones, client: BareClient, send: Callable[..., list[int]], name: str
) -> None:
    phones.inject(Fault("apns", name, token=IPHONES[0]))
    silent, other = send(*IPHONES[:2])
    events = client.until(is_end(other))
    assert statuses(events) == {other: "200"}
    assert not any(is_end(silent)(event) for event in events)
    assert (IPHONES[0] in arrived(phones)) is (name == "answer_lost")


@pytest.mark.parametrize(
    ("name", "code", "taken"),
    [
        ("refused_stream", ErrorCodes.REFUSED_STREAM, False),
        ("reset_before", ErrorCodes.INTERNAL_ERROR, False),
        ("reset_after", ErrorCodes.INTERNAL_ERROR, True),
    ],
)
def test_a_stream_is_reset_with_its_code_and_the_connection_goes_on(
    phones: Phones,
    client: BareClient,
    send: Callable[..., list[int]],
    name: str,
    code: ErrorCodes,
    taken: bool,
) -> None:
    phones.inject(Fault("apns", name, count=1))
    reset, other = send(*IPHONES[:2])
    events = client.until(is_end(other))
    [ended] = [event for event in events if isinstance(event, StreamReset)]
    assert (ended.stream_id, ended.error_code) == (reset, code)
    assert statuses(events) == {other: "200"}
    assert (IPHONES[0] in arrived(phones)) is taken


def test_a_goaway_names_the_last_stream_that_is_answered_and_no_later_one_is_taken(
    phones: Phones, client: BareClient, send: Callable[..., list[int]]
) -> None:
    phones.inject(Fault("apns", "goaway", token=IPHONES[2]))
    first, second, *_ = send(*IPHONES)
    events = client.until(is_goodbye)
    [goodbye] = [event for event in events if isinstance(event, ConnectionTerminated)]
    assert goodbye.last_stream_id == second
    assert goodbye.error_code == ErrorCodes.NO_ERROR
    assert msgspec.json.decode(goodbye.additional_data) == {"reason": "Shutdown"}
    assert statuses(events) == {first: "200", second: "200"}
    assert arrived(phones) == IPHONES[:2]
    assert client.is_let_go()


def test_after_a_goaway_what_was_under_way_is_still_answered(
    phones: Phones, client: BareClient, send: Callable[..., list[int]]
) -> None:
    phones.inject(Fault("apns", "slow", token=IPHONES[0], delay=0.1))
    phones.inject(Fault("apns", "goaway", token=IPHONES[1]))
    slow, _ = send(*IPHONES[:2])
    # Our own h2 reads no frame after a GOAWAY, so what comes is looked at as it is on the wire.
    answer = client.read_until_closed()
    last_headers_of_slow = b"\x01\x05" + slow.to_bytes(4)
    assert answer.index(b"Shutdown") < answer.index(last_headers_of_slow)
    assert arrived(phones) == IPHONES[:1]


def test_a_goaway_to_a_stream_that_later_ones_overtook_refuses_it(
    phones: Phones, client: BareClient, send: Callable[..., list[int]]
) -> None:
    phones.inject(Fault("apns", "goaway", token=IPHONES[0]))
    late = client.h2.get_next_available_stream_id()
    head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", f"/3/device/{IPHONES[0]}"),
        ("authorization", f"bearer {provider_token(phones)}"),
        ("apns-topic", TOPIC),
    ]
    client.h2.send_headers(late, head)
    [early] = send(IPHONES[1])
    events = client.until(is_end(early))
    assert statuses(events) == {early: "200"}
    client.h2.send_data(late, b"{}", end_stream=True)
    client.flush()
    [goodbye] = [
        event for event in client.until(is_goodbye) if isinstance(event, ConnectionTerminated)
    ]
    assert goodbye.last_stream_id == early
    assert arrived(phones) == [IPHONES[1]]


@pytest.mark.parametrize(("name", "taken"), [("cut_before", 0), ("cut_after", 1)])
def test_a_cut_ends_the_connection_and_all_that_was_on_it(
    phones: Phones,
    client: BareClient,
    send: Callable[..., list[int]],
    name: str,
    taken: int,
) -> None:
    phones.inject(Fault("apns", name, count=1))
    streams = send(*IPHONES)
    events = client.until(is_end(streams[-1]))
    assert not any(isinstance(event, StreamEnded) for event in events)
    assert len(arrived(phones)) == taken
    assert client.is_let_go()


def test_a_slow_answer_to_a_client_that_gave_up_is_not_sent(
    phones: Phones, client: BareClient, send: Callable[..., list[int]]
) -> None:
    phones.inject(Fault("apns", "slow", token=IPHONES[0], delay=0.1))
    phones.inject(Fault("apns", "slow", token=IPHONES[1], delay=0.2))
    slow, slower = send(*IPHONES[:2])
    client.h2.reset_stream(slow)
    client.flush()
    assert statuses(client.until(is_end(slower))) == {slower: "200"}


def test_a_refusal_announces_one_stream_and_the_next_accepted_push_all_of_them(
    phones: Phones, client: BareClient, send: Callable[..., list[int]]
) -> None:
    def allowed(events: list[Event]) -> list[int]:
        assert any(isinstance(event, RemoteSettingsChanged) for event in events)
        return client.h2.remote_settings.max_concurrent_streams

    phones.inject(Fault("apns", "BadDeviceToken", token=IPHONES[0]))
    send(IPHONES[0])
    assert allowed(client.until(is_settings)) == 1
    send(IPHONES[1])
    assert allowed(client.until(is_settings)) == 100


def test_that_a_refusal_costs_streams_can_be_switched_off(start: Callable[..., Phones]) -> None:
    phones = start(behaviour=Behaviour(apns_first_streams=100, apns_slows_down=False))
    with BareClient(phones.apns_port, phones.settings["apns"]["ca_file"]) as client:
        client.until(is_settings)
        stream = client.request(f"/3/device/{IPHONES[0]}", {}, b"{}")
        client.flush()
        assert statuses(client.until(is_end(stream))) == {stream: "403"}
        client.h2.ping(b"12345678")
        client.flush()
        events = client.until(lambda event: isinstance(event, PingAckReceived))
        assert not any(is_settings(event) for event in events)
        assert client.h2.remote_settings.max_concurrent_streams == 100


def test_a_lower_limit_leaves_what_is_in_flight_alone(
    phones: Phones, client: BareClient, send: Callable[..., list[int]]
) -> None:
    phones.inject(Fault("apns", "BadDeviceToken", token=IPHONES[0]))
    phones.inject(Fault("apns", "slow", delay=0.1))
    streams = send(*IPHONES)
    events: list[Event] = []
    while len(statuses(events)) < 5:
        events += client.until(lambda event: isinstance(event, ResponseReceived))
    assert statuses(events) == dict(zip(streams, ["400", *["200"] * 4], strict=True))


def test_half_an_answer_is_the_beginning_and_then_the_end(phones: Phones) -> None:
    phones.inject(Fault("fcm", "half_answer"))
    headers = {"authorization": f"Bearer {access_token(phones)}"}
    with BareClient(phones.fcm_port, phones.settings["fcm"]["ca_file"]) as client:
        client.until(is_settings)
        stream = client.request(
            f"/v1/projects/{PROJECT_ID}/messages:send", headers, msgspec.json.encode(a_message())
        )
        client.flush()
        events = client.until(is_end(stream))
    [head] = [event for event in events if isinstance(event, ResponseReceived)]
    length = int(dict(head.headers)["content-length"])
    received = sum(len(event.data) for event in events if isinstance(event, DataReceived))
    assert 0 < received < length
    assert not any(isinstance(event, StreamEnded) for event in events)
    assert phones.devices.counts().fcm == 1


# --- over HTTP/1.1 --------------------------------------------------------------------------


@pytest.fixture
def post(phones: Phones) -> Iterator[Callable[..., requests.Response]]:
    token = access_token(phones)
    with requests.Session() as session:
        session.trust_env = False
        session.verify = phones.settings["fcm"]["ca_file"]

        def send_message(**options: object) -> requests.Response:
            return session.post(
                f"{phones.fcm_endpoint}/v1/projects/{PROJECT_ID}/messages:send",
                json=a_message(),
                headers={"authorization": f"Bearer {token}"},
                **options,
            )

        yield send_message


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("silence", requests.exceptions.ReadTimeout),
        ("cut_before", requests.exceptions.ConnectionError),
        ("refused_stream", requests.exceptions.ConnectionError),
        ("goaway", requests.exceptions.ConnectionError),
        ("half_answer", requests.exceptions.ChunkedEncodingError),
    ],
)
def test_without_streams_what_ends_a_request_ends_the_connection(
    phones: Phones,
    post: Callable[..., requests.Response],
    name: str,
    error: type[requests.exceptions.RequestException],
) -> None:
    phones.inject(Fault("fcm", name, count=1))
    with pytest.raises(error):
        post(timeout=0.5 if name == "silence" else 30)
    assert post(timeout=30).status_code == 200
    assert phones.devices.counts().fcm == (2 if name == "half_answer" else 1)


def test_a_slow_answer_comes_and_the_connection_goes_on(
    phones: Phones, post: Callable[..., requests.Response]
) -> None:
    phones.inject(Fault("fcm", "slow", delay=0.1, count=1))
    assert [post(timeout=30).status_code for _ in range(2)] == [200, 200]
    assert phones.devices.received().received[0].token == PHONE
