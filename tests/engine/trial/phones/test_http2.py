"""HTTP/2 over TLS: streams, flow control in both directions, and how a connection ends."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded
from h2.settings import SettingCodes

from engine.trial.phones.credentials import TOPIC, Credentials
from engine.trial.phones.phones import Behaviour, Phones
from engine.trial.phones.server import tls_context
from tests.engine.trial.phones.support import (
    IPHONE,
    PHONE,
    BareClient,
    Curl,
    a_message,
    access_token,
    apns_post,
    fcm_post,
    is_end,
    is_goodbye,
    is_settings,
    provider_token,
    status_of,
)

HELLO = {"aps": {"alert": "Hello"}}
DEVICE = f"/3/device/{IPHONE}"


def fcm_client(phones: Phones, **options: object) -> BareClient:
    return BareClient(phones.fcm_port, phones.settings["fcm"]["ca_file"], **options)


def apns_client(phones: Phones, **options: object) -> BareClient:
    return BareClient(phones.apns_port, phones.settings["apns"]["ca_file"], **options)


def apns_headers(phones: Phones) -> dict[str, str]:
    return {"authorization": f"bearer {provider_token(phones)}", "apns-topic": TOPIC}


def streams_of(client: BareClient) -> int:
    return client.h2.remote_settings.max_concurrent_streams


def received_bytes(events: list) -> int:
    return sum(len(event.data) for event in events if isinstance(event, DataReceived))


# --- many requests --------------------------------------------------------------------------


def test_a_thousand_concurrent_pushes_over_few_connections_all_arrive_once(
    phones: Phones,
) -> None:
    token = access_token(phones)
    posts = [fcm_post(phones, token, a_message(token=f"{PHONE}-{n}")) for n in range(1_000)]
    responses = Curl(phones, connections=10).send(posts)
    assert [response.status for response in responses] == [200] * 1_000
    ledger = phones.devices.received(limit=2_000).received
    assert {received.token for received in ledger} == {f"{PHONE}-{n}" for n in range(1_000)}
    assert len(ledger) == len({response.json()["name"] for response in responses}) == 1_000


def test_more_than_64_kib_of_error_bodies_come_over_one_connection(phones: Phones) -> None:
    posts = [fcm_post(phones, "forged", a_message()) for _ in range(300)]
    responses = Curl(phones).send(posts)
    assert [response.status for response in responses] == [401] * 300
    assert sum(len(response.body) for response in responses) > 2 * 65_536


def test_apns_takes_many_pushes_at_once_after_a_first_one(phones: Phones) -> None:
    token = provider_token(phones)
    curl = Curl(phones)
    [first] = curl.send([apns_post(phones, token, HELLO)])
    rest = curl.send([apns_post(phones, token, HELLO) for _ in range(300)])
    assert first.status == 200
    assert [response.status for response in rest] == [200] * 300
    assert phones.devices.counts().apns == 301


# --- how many streams -----------------------------------------------------------------------


def test_fcm_allows_a_hundred_streams(phones: Phones) -> None:
    with fcm_client(phones) as client:
        client.until(is_settings)
        assert streams_of(client) == 100


def test_apns_allows_one_stream_until_a_push_is_accepted(phones: Phones) -> None:
    good = apns_headers(phones)
    with apns_client(phones) as client:
        client.until(is_settings)
        assert streams_of(client) == 1
        refused = client.request(DEVICE, {"apns-topic": TOPIC}, b"{}")
        client.flush()
        assert status_of(client.until(is_end(refused))) == "403"
        assert streams_of(client) == 1
        client.request(DEVICE, good, b"{}")
        client.flush()
        assert status_of(client.until(is_settings)) == "200"
        assert streams_of(client) == 100


def test_each_connection_to_apns_begins_with_one_stream(phones: Phones) -> None:
    for _ in range(2):
        with apns_client(phones) as client:
            client.until(is_settings)
            assert streams_of(client) == 1
            stream = client.request(DEVICE, apns_headers(phones), b"{}")
            client.flush()
            client.until(is_end(stream))


def test_the_numbers_of_streams_are_settings(start: Callable[..., Phones]) -> None:
    behaviour = Behaviour(fcm_streams=7, apns_first_streams=3, apns_streams=5)
    phones = start(behaviour=behaviour)
    with fcm_client(phones) as client:
        client.until(is_settings)
        assert streams_of(client) == 7
    with apns_client(phones) as client:
        client.until(is_settings)
        assert streams_of(client) == 3
        client.request(DEVICE, apns_headers(phones), b"{}")
        client.flush()
        client.until(is_settings)
        assert streams_of(client) == 5


def test_a_stream_above_the_limit_ends_the_connection(phones: Phones) -> None:
    with apns_client(phones) as client:
        # Nothing is read in between, so that our own h2 does not know the limit yet.
        for _ in range(2):
            client.request(DEVICE, apns_headers(phones), b"{}")
        client.flush()
        [goodbye] = [
            event for event in client.until(is_goodbye) if isinstance(event, ConnectionTerminated)
        ]
        assert goodbye.error_code == ErrorCodes.PROTOCOL_ERROR
    assert phones.devices.counts().apns == 0


# --- flow control ---------------------------------------------------------------------------


def test_an_answer_waits_for_the_window_of_its_stream(phones: Phones) -> None:
    with fcm_client(phones) as client:
        client.until(is_settings)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        stream = client.request("/", {})
        client.flush()
        first = client.until(lambda event: isinstance(event, DataReceived))
        client.h2.increment_flow_control_window(65_535, stream)
        client.flush()
        rest = client.until(is_end(stream))
        [length] = [
            int(dict(event.headers)["content-length"])
            for event in first
            if isinstance(event, ResponseReceived)
        ]
        assert received_bytes(first) == 10
        assert received_bytes(first) + received_bytes(rest) == length


def test_answers_wait_for_the_window_of_the_connection(phones: Phones) -> None:
    with fcm_client(phones, acknowledge=False) as client:
        client.until(is_settings)
        seen = []
        while received_bytes(seen) < 65_535:
            client.request("/", {})
            client.flush()
            seen += client.until(lambda event: isinstance(event, DataReceived))
        held = client.request("/", {})
        client.h2.increment_flow_control_window(2**20)
        client.flush()
        seen += client.until(is_end(held))
        answered = [event for event in seen if isinstance(event, ResponseReceived)]
        ended = [event for event in seen if isinstance(event, StreamEnded)]
        assert len(answered) == len(ended)
        assert received_bytes(seen) > 65_535


def test_a_stream_that_waits_for_its_window_can_be_reset(phones: Phones) -> None:
    with fcm_client(phones) as client:
        client.until(is_settings)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        waiting = client.request("/", {})
        client.flush()
        client.until(lambda event: isinstance(event, ResponseReceived))
        client.h2.reset_stream(waiting)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
        other = client.request("/", {})
        client.flush()
        assert status_of(client.until(is_end(other))) == "404"


def test_request_bodies_of_more_than_the_window_of_the_connection_come_through(
    phones: Phones,
) -> None:
    with fcm_client(phones) as client:
        client.until(is_settings)
        for _ in range(30):
            stream = client.request("/", {}, b"x" * 60_000)
            client.flush()
            assert status_of(client.until(is_end(stream))) == "404"


def test_a_body_far_above_the_limit_is_read_to_its_end_and_refused(phones: Phones) -> None:
    with apns_client(phones) as client:
        client.until(is_settings)
        stream = client.request(DEVICE, apns_headers(phones), b"x" * 300_000)
        client.flush()
        assert status_of(client.until(is_end(stream))) == "413"


# --- clients that break off or break rules --------------------------------------------------


def test_a_request_that_is_reset_half_way_is_forgotten(phones: Phones) -> None:
    with apns_client(phones) as client:
        client.until(is_settings)
        half = client.h2.get_next_available_stream_id()
        head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", DEVICE),
        ]
        client.h2.send_headers(half, head)
        client.h2.send_data(half, b'{"aps"')
        client.h2.reset_stream(half)
        whole = client.request(DEVICE, apns_headers(phones), b"{}")
        client.flush()
        assert status_of(client.until(is_end(whole))) == "200"
    assert phones.devices.counts().apns == 1


def test_a_request_that_is_reset_in_the_same_breath_is_not_taken(
    start: Callable[..., Phones],
) -> None:
    phones = start(behaviour=Behaviour(apns_first_streams=100))
    with apns_client(phones) as client:
        client.until(is_settings)
        client.h2.reset_stream(client.request(DEVICE, apns_headers(phones), b"{}"))
        other = client.request(DEVICE, apns_headers(phones), b"{}")
        client.flush()
        assert status_of(client.until(is_end(other))) == "200"
    assert phones.devices.counts().apns == 1


def test_a_request_without_a_path_gets_an_answer(phones: Phones) -> None:
    with apns_client(phones) as client:
        client.until(is_settings)
        stream = client.h2.get_next_available_stream_id()
        head = [(":method", "CONNECT"), (":authority", "localhost")]
        client.h2.send_headers(stream, head, end_stream=True)
        client.flush()
        assert status_of(client.until(is_end(stream))) == "405"


def test_a_client_that_says_goodbye_is_let_go(phones: Phones) -> None:
    with fcm_client(phones) as client:
        client.until(is_settings)
        client.h2.close_connection()
        client.flush()
        assert client.is_let_go()


def test_a_client_that_chooses_http2_and_speaks_something_else_is_let_go(
    phones: Phones,
) -> None:
    client = fcm_client(phones)
    client.send_raw(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert client.is_let_go()
    client.close()


def test_apns_lets_no_client_in_that_does_not_choose_http2(phones: Phones) -> None:
    client = apns_client(phones, alpn=["http/1.1"])
    with client:
        assert client.chosen is None
        assert client.is_let_go()


def test_a_client_without_our_ca_cannot_connect(phones: Phones) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        BareClient(phones.fcm_port, ssl.get_default_verify_paths().cafile)


def test_tls_is_at_least_1_2(credentials: Credentials) -> None:
    context = tls_context(credentials.certificate_file, credentials.certificate_key_file, "h2")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
