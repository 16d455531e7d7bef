"""What the tests of the phones send with: a clock to set, gateways without a socket, clients.

A client is either pycurl, which is what the product sends with, or a bare h2 connection, which can
do what no client should.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import jwt
import msgspec
import pycurl
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

from engine.trial.phones.apns import Apns
from engine.trial.phones.credentials import (
    CLIENT_EMAIL,
    KEY_ID,
    PROJECT_ID,
    TEAM_ID,
    TOPIC,
    Credentials,
)
from engine.trial.phones.devices import Devices
from engine.trial.phones.exchange import Answer, Reply, Request
from engine.trial.phones.faults import Faults
from engine.trial.phones.fcm import Fcm
from engine.trial.phones.oauth import AccessTokens, TokenEndpoint
from engine.trial.phones.phones import Phones
from engine.trial.phones.provider_tokens import ProviderTokens

PHONE = "dEvice_token-of:APA91bAda"
IPHONE = "ab" * 32

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self, time: datetime = NOON) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time

    def go(self, **duration: float) -> None:
        self.time += timedelta(**duration)


@dataclass
class Gateways:
    """FCM and APNs without a socket, on a clock that the test sets."""

    credentials: Credentials
    clock: Clock
    admit_strangers: bool = True
    a_minute: int | None = None
    a_minute_to_a_device: int | None = None
    devices: Devices = field(init=False)

    def __post_init__(self) -> None:
        self.devices = Devices(self.clock, admit_strangers=self.admit_strangers)
        self.faults = Faults(self.clock)
        self.tokens = AccessTokens(self.credentials.secret, self.clock)
        self.token_endpoint = TokenEndpoint(
            self.tokens,
            CLIENT_EMAIL,
            self.credentials.service_account_key,
            self.faults,
            self.clock,
        )
        self.fcm = Fcm(
            PROJECT_ID,
            self.tokens,
            self.token_endpoint,
            self.devices,
            self.faults,
            self.clock,
            self.a_minute,
            self.a_minute_to_a_device,
        )
        provider_tokens = ProviderTokens(self.credentials.apns_key, KEY_ID, TEAM_ID, self.clock)
        self.apns = Apns(TOPIC, provider_tokens, self.devices, self.faults, streams=100)
        self.access_token = self.tokens.issue()

    def send_fcm(self, content: object, **changes: object) -> Reply:
        """*content* is the request's JSON; *changes* are of the request around it."""
        request: dict[str, object] = {
            "method": "POST",
            "path": f"/v1/projects/{PROJECT_ID}/messages:send",
            "headers": {"authorization": f"Bearer {self.access_token}"},
            "body": msgspec.json.encode(content),
        }
        return self.fcm.answer(Request(**(request | changes)))

    def send_apns(
        self, payload: object = None, token: str = "ab" * 32, **headers: str | None
    ) -> Reply:
        """*headers* in Python's spelling; None leaves one out."""
        defaults = {
            "authorization": f"bearer {self.provider_token()}",
            "apns-topic": TOPIC,
            "apns-push-type": "alert",
        }
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {name: value for name, value in (defaults | given).items() if value is not None}
        body = {"aps": {"alert": "Hello"}} if payload is None else payload
        encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self.apns.answer(Request("POST", f"/3/device/{token}", merged, encoded))

    def provider_token(self, **changes: object) -> str:
        """A provider token issued now, but for *changes* of its claims, `kid` or `key`."""
        claims = {"iss": TEAM_ID, "iat": int(self.clock().timestamp())} | changes
        key = claims.pop("key", None) or self.credentials.apns_key_file.read_text()
        headers = {"kid": claims.pop("kid", KEY_ID)}
        return jwt.encode(claims, key, "ES256", headers=headers)


def answered(answer: Answer) -> dict:
    """The JSON of an answer."""
    return msgspec.json.decode(answer.body)


def a_message(**changes: object) -> dict[str, object]:
    """A request that FCM takes; *changes* are of the message, None leaves a field out."""
    message: dict[str, object] = {
        "token": PHONE,
        "notification": {"title": "Quiz 4", "body": "Ada scored 92."},
    }
    merged = {name: value for name, value in (message | changes).items() if value is not None}
    return {"message": merged}


def provider_token(phones: Phones, issued_at: datetime | None = None, **changes: object) -> str:
    """A provider token for these phones' key, issued now."""
    settings = phones.settings["apns"]
    moment = issued_at or datetime.now(UTC)
    claims = {"iss": settings["team_id"], "iat": int(moment.timestamp())} | changes
    key = Path(settings["key_file"]).read_text()
    return jwt.encode(claims, key, "ES256", headers={"kid": settings["key_id"]})


def access_token(phones: Phones) -> str:
    """An access token, got the way a sender gets it."""
    account = msgspec.json.decode(Path(phones.settings["fcm"]["service_account_file"]).read_bytes())
    now = int(datetime.now(UTC).timestamp())
    claims = {
        "iss": account["client_email"],
        "aud": "https://oauth2.googleapis.com/token",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "iat": now,
        "exp": now + 3_600,
    }
    assertion = jwt.encode(claims, account["private_key"], "RS256")
    form = f"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}"
    [response] = Curl(phones).send([Post(account["token_uri"], {}, form.encode())])
    token: str = response.json()["access_token"]
    return token


def fcm_post(phones: Phones, token: str, content: object) -> Post:
    """A send request for FCM."""
    project = phones.settings["fcm"]["project_id"]
    url = f"{phones.fcm_endpoint}/v1/projects/{project}/messages:send"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return Post(url, headers, msgspec.json.encode(content))


def apns_post(
    phones: Phones, token: str, payload: object, phone: str = IPHONE, **headers: str
) -> Post:
    """A push for APNs; *headers* in Python's spelling."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    standard = {
        "authorization": f"bearer {token}",
        "apns-topic": phones.settings["apns"]["topic"],
        "apns-push-type": "alert",
    }
    url = f"{phones.apns_endpoint}/3/device/{phone}"
    return Post(url, standard | given, msgspec.json.encode(payload))


@dataclass(frozen=True)
class Post:
    """One request to send."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """What came back; *status* 0 with an *error* when nothing did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    error: str = ""

    def json(self) -> dict:
        return msgspec.json.decode(self.body)


class Curl:
    """pycurl's multi interface: HTTP/2, over at most *connections* connections."""

    def __init__(self, phones: Phones, connections: int = 1, streams: int = 100) -> None:
        self._ca_file = phones.settings["fcm"]["ca_file"]
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, streams)

    def send(self, posts: Iterable[Post]) -> list[Response]:
        """Send all at once; the responses are in the order of *posts*."""
        sent = [self._add(post) for post in posts]
        errors: dict[pycurl.Curl, str] = {}
        _, active = self._multi.perform()
        while active:
            self._multi.select(min(max(self._multi.timeout(), 0), 1_000) / 1_000)
            _, active = self._multi.perform()
        waiting = 1
        while waiting:
            waiting, _, failed = self._multi.info_read()
            errors |= {handle: message for handle, _, message in failed}
        return [self._finish(*one, errors.get(one[0], "")) for one in sent]

    def _add(self, post: Post) -> tuple[pycurl.Curl, BytesIO, BytesIO]:
        handle, head, body = pycurl.Curl(), BytesIO(), BytesIO()
        handle.setopt(pycurl.URL, post.url)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        handle.setopt(pycurl.PIPEWAIT, 1)
        handle.setopt(pycurl.CAINFO, self._ca_file)
        handle.setopt(pycurl.HTTPHEADER, [f"{n}: {v}" for n, v in post.headers.items()])
        handle.setopt(pycurl.POSTFIELDS, post.body)
        handle.setopt(pycurl.HEADERFUNCTION, head.write)
        handle.setopt(pycurl.WRITEDATA, body)
        handle.setopt(pycurl.TIMEOUT, 30)
        self._multi.add_handle(handle)
        return handle, head, body

    def _finish(self, handle: pycurl.Curl, head: BytesIO, body: BytesIO, error: str) -> Response:
        status = handle.getinfo(pycurl.RESPONSE_CODE)
        lines = head.getvalue().decode("latin-1").splitlines()
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        self._multi.remove_handle(handle)
        handle.close()
        return Response(status, headers, body.getvalue(), error)


class BareClient:
    """An h2 connection on a TLS socket, one frame at a time."""

    def __init__(
        self, port: int, ca_file: str, *, alpn: Iterable[str] = ("h2",), acknowledge: bool = True
    ) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        context.set_alpn_protocols(list(alpn))
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self.chosen = self._socket.selected_alpn_protocol()
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._acknowledge = acknowledge

    def __enter__(self) -> BareClient:
        self.h2.initiate_connection()
        self.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def flush(self) -> None:
        self._socket.sendall(self.h2.data_to_send())

    def request(self, path: str, headers: Mapping[str, str], body: bytes = b"") -> int:
        """Queue one request and return its stream; `flush` sends it."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = {
            ":method": "POST",
            ":scheme": "https",
            ":authority": "localhost",
            ":path": path,
        }
        self.h2.send_headers(stream, list((pseudo | dict(headers)).items()), end_stream=not body)
        while body:
            room = min(self.h2.local_flow_control_window(stream), 16_384)
            if not room:
                self.flush()
                self.until(lambda _: self.h2.local_flow_control_window(stream) > 0)
                continue
            self.h2.send_data(stream, body[:room], end_stream=len(body) <= room)
            body = body[room:]
        return stream

    def until(self, reached: Callable[[Event], bool]) -> list[Event]:
        """Read events up to the one that *reached* holds for, or to the end of the connection."""
        seen: list[Event] = []
        while data := self._read():
            for event in self.h2.receive_data(data):
                seen.append(event)
                if isinstance(event, DataReceived) and self._acknowledge:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
            if any(reached(event) for event in seen):
                break
        return seen

    def read_until_closed(self) -> bytes:
        """Everything that still comes, as it is on the wire."""
        return b"".join(iter(self._read, b""))

    def is_let_go(self) -> bool:
        """Read on until the server closes the connection."""
        while self._read():
            pass
        return True

    def _read(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return b""


def is_end(stream: int) -> Callable[[Event], bool]:
    """Holds for the last event of a stream."""
    return lambda event: isinstance(event, StreamEnded | StreamReset) and event.stream_id == stream


def is_goodbye(event: Event) -> bool:
    """Holds for a GOAWAY."""
    return isinstance(event, ConnectionTerminated)


def is_settings(event: Event) -> bool:
    """Holds for new settings of the server."""
    return isinstance(event, RemoteSettingsChanged)


def status_of(events: Iterable[Event]) -> str:
    """The status of the only response among *events*."""
    [response] = [event for event in events if isinstance(event, ResponseReceived)]
    return dict(response.headers)[":status"]
