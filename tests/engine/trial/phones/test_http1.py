"""HTTP/1.1: what google-auth and pyfcm speak to FCM, and what is said to nonsense."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import google.auth.exceptions
import google.auth.transport.requests
import pyfcm.errors
import pytest
import requests
from google.oauth2 import service_account
from pyfcm import FCMNotification

from engine.trial.phones.phones import Phones
from tests.engine.trial.phones.support import PHONE, a_message

SCOPES = ["https://www.googleapis.com/auth/firebase.messaging"]


@pytest.fixture
def session(phones: Phones) -> Iterator[requests.Session]:
    with requests.Session() as session:
        # A CA bundle named in the environment would be preferred to ours.
        session.trust_env = False
        session.verify = phones.settings["fcm"]["ca_file"]
        yield session


def account(phones: Phones) -> service_account.Credentials:
    return service_account.Credentials.from_service_account_file(
        phones.settings["fcm"]["service_account_file"], scopes=SCOPES
    )


def test_google_auth_gets_a_token_that_fcm_takes(phones: Phones, session: requests.Session) -> None:
    credentials = account(phones)
    credentials.refresh(google.auth.transport.requests.Request(session))
    response = session.post(
        f"{phones.fcm_endpoint}/v1/projects/{credentials.project_id}/messages:send",
        json=a_message(),
        headers={"authorization": f"Bearer {credentials.token}"},
    )
    assert response.status_code == 200
    assert response.json()["name"].startswith("projects/schoolbell-phones/messages/")


def test_google_auth_with_another_scope_gets_a_refresh_error(
    phones: Phones, session: requests.Session
) -> None:
    credentials = account(phones).with_scopes(["https://www.googleapis.com/auth/drive"])
    with pytest.raises(google.auth.exceptions.RefreshError, match="invalid_scope"):
        credentials.refresh(google.auth.transport.requests.Request(session))


@pytest.fixture
def pyfcm_sender(phones: Phones, monkeypatch: pytest.MonkeyPatch) -> Iterator[FCMNotification]:
    class Sender(FCMNotification):
        FCM_END_POINT_BASE = f"{phones.fcm_endpoint}/v1/projects"

    settings = phones.settings["fcm"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", settings["ca_file"])
    sender = Sender(settings["service_account_file"], settings["project_id"])
    yield sender
    sender.requests_session.close()


def test_pyfcm_sends_to_the_phones(phones: Phones, pyfcm_sender: FCMNotification) -> None:
    pyfcm_sender.notify(
        fcm_token=PHONE,
        notification_title="Quiz 4",
        notification_body="Ada scored 92.",
        data_payload={"student": "42"},
    )
    [received] = phones.devices.received().received
    assert (received.title, received.body) == ("Quiz 4", "Ada scored 92.")
    assert received.data == {"student": "42"}


def test_pyfcm_understands_that_a_phone_is_uninstalled(
    phones: Phones, pyfcm_sender: FCMNotification
) -> None:
    phones.devices.uninstall("fcm", PHONE)
    with pytest.raises(pyfcm.errors.FCMNotRegisteredError):
        pyfcm_sender.notify(fcm_token=PHONE, notification_title="Quiz 4")


def test_a_client_that_names_no_protocol_speaks_http_1(
    phones: Phones, session: requests.Session
) -> None:
    response = session.get(phones.fcm_endpoint + "/anything")
    assert (response.status_code, response.raw.version) == (404, 11)


# --- on the wire: the control port speaks the same, without TLS -----------------------------


@pytest.fixture
def raw(phones: Phones) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", phones.control_port), timeout=10) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


COUNTS = b"GET /api/counts HTTP/1.1\r\nhost: localhost\r\n"


def test_requests_in_one_piece_are_answered_in_order_on_one_connection(raw: socket.socket) -> None:
    last = COUNTS.replace(b"counts", b"nothing") + b"connection: close\r\n\r\n"
    raw.sendall(COUNTS + b"\r\n" + COUNTS + b"\r\n" + last)
    assert re.findall(rb"HTTP/1.1 (\d+)", everything(raw)) == [b"200", b"200", b"404"]


def test_a_request_in_many_pieces_is_answered_when_it_is_whole(
    phones: Phones, raw: socket.socket
) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b'{"kind": "apns", "token": "abc"}'
    request = (
        b"POST /api/uninstall HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    for index in range(len(request)):
        raw.sendall(request[index : index + 1])
    assert everything(raw).startswith(b"HTTP/1.1 200 OK\r\n")
    assert phones.devices.find("apns", "abc") is not None


def test_a_client_of_http_1_0_gets_an_answer_and_the_end(raw: socket.socket) -> None:
    raw.sendall(COUNTS.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n")
    assert b"connection: close" in everything(raw)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET relative HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nspace : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 1e3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\ncontent-length: 65537\r\n\r\n", 413),
        (b"GET /" + b"x" * 70_000, 400),
    ],
)
def test_nonsense_is_answered_and_ends_the_connection(
    raw: socket.socket, request_bytes: bytes, status: int
) -> None:
    raw.sendall(request_bytes)
    said = everything(raw)
    assert said.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"connection: close" in said
