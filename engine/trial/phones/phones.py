"""The phones as one thing to start and stop: FCM with its token endpoint, APNs, a push service for
browsers, and the window on all.

They run in a thread of their own beside other work (`Phones`), or as a program (`run_phones`).
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

from engine.trial.phones.apns import Apns
from engine.trial.phones.control import Control, Tally
from engine.trial.phones.credentials import (
    CLIENT_EMAIL,
    KEY_ID,
    PROJECT_ID,
    TEAM_ID,
    TOPIC,
    Credentials,
    Settings,
    prepare,
)
from engine.trial.phones.devices import REMEMBERED, Devices, Received, ignore
from engine.trial.phones.exchange import Answerer, Clock
from engine.trial.phones.fault import Fault
from engine.trial.phones.faults import ActiveFault, Faults
from engine.trial.phones.fcm import Fcm
from engine.trial.phones.http1 import Http1Connection
from engine.trial.phones.http2 import Http2Connection
from engine.trial.phones.oauth import AccessTokens, TokenEndpoint
from engine.trial.phones.provider_tokens import RENEWAL_INTERVAL, ProviderTokens
from engine.trial.phones.server import (
    HTTP1,
    HTTP2,
    Conversation,
    Greeting,
    bind,
    close_all,
    port_of,
    serve,
    tls_context,
)
from engine.trial.phones.web_push import Subscription, WebPush

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the gateways behave where real ones differ or change.

    *admit_strangers*: an unknown but well-formed token is a phone. *apns_first_streams* is what a
    connection has until its first accepted push, *apns_streams* from then on; with
    *apns_slows_down* it has one again after a refused push, until the next accepted one.
    *renewal_interval* is how long APNs asks to wait between two new provider tokens of a key.
    *fcm_a_minute* is how many requests a minute FCM takes from the project,
    *fcm_a_minute_to_a_device* how many for one phone; None for any number. *remembered* is the
    length of the ledger.
    """

    admit_strangers: bool = True
    fcm_streams: int = 100
    web_push_streams: int = 100
    apns_first_streams: int = 1
    apns_streams: int = 100
    apns_slows_down: bool = True
    fcm_a_minute: int | None = None
    fcm_a_minute_to_a_device: int | None = None
    renewal_interval: timedelta = RENEWAL_INTERVAL
    remembered: int = REMEMBERED


def machine_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class Phones:
    """A local FCM, APNs and push service for browsers.

    A port of 0 takes a free one, and keeps it for the next start.

    *folder* holds the keys and certificates, the same after a restart. *on_push* hears of every
    accepted push, in the thread that serves: it must not raise and should be quick.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = LOOPBACK,
        fcm_port: int = 0,
        apns_port: int = 0,
        web_push_port: int = 0,
        control_port: int = 0,
        behaviour: Behaviour = Behaviour(),
        now: Clock = machine_clock,
        on_push: Callable[[Received], None] = ignore,
    ) -> None:
        self.fcm_port = fcm_port
        self.apns_port = apns_port
        self.web_push_port = web_push_port
        self.control_port = control_port
        self.devices = Devices(
            now,
            admit_strangers=behaviour.admit_strangers,
            remembered=behaviour.remembered,
            on_push=on_push,
        )
        self._faults = Faults(now)
        self._host = host
        self._behaviour = behaviour
        self._credentials = prepare(folder)
        self._answer_by(self._credentials, now)
        self._conversations: set[Conversation] = set()
        self._running: tuple[threading.Thread, Callable[[], object]] | None = None

    def _answer_by(self, credentials: Credentials, now: Clock) -> None:
        tokens = AccessTokens(credentials.secret, now)
        provider_tokens = ProviderTokens(
            credentials.apns_key, KEY_ID, TEAM_ID, now, self._behaviour.renewal_interval
        )
        self._token_endpoint = TokenEndpoint(
            tokens, CLIENT_EMAIL, credentials.service_account_key, self._faults, now
        )
        self._fcm = Fcm(
            PROJECT_ID,
            tokens,
            self._token_endpoint,
            self.devices,
            self._faults,
            now,
            self._behaviour.fcm_a_minute,
            self._behaviour.fcm_a_minute_to_a_device,
        )
        self._apns = Apns(
            TOPIC,
            provider_tokens,
            self.devices,
            self._faults,
            self._behaviour.apns_streams,
            self._behaviour.apns_slows_down,
        )
        self._web_push = WebPush(credentials.secret, self.devices, self._faults, now)
        self._control = Control(
            self.devices,
            self._fcm,
            self._apns,
            self._web_push,
            self._token_endpoint,
            self._faults,
        )

    # --- where they are, once started ------------------------------------------------------

    @property
    def fcm_endpoint(self) -> str:
        """The URL that takes the place of https://fcm.googleapis.com."""
        return f"https://localhost:{self.fcm_port}"

    @property
    def apns_endpoint(self) -> str:
        """The URL that takes the place of https://api.push.apple.com."""
        return f"https://localhost:{self.apns_port}"

    @property
    def web_push_origin(self) -> str:
        """The address at which browsers are sent to."""
        return f"https://localhost:{self.web_push_port}"

    @property
    def control_url(self) -> str:
        """The URL of the page and of the JSON API."""
        return f"http://{LOOPBACK}:{self.control_port}"

    @property
    def settings(self) -> Settings:
        """The tables of a configuration that sends to these phones, one for each gateway."""
        return self._credentials.settings(
            self.fcm_endpoint, self.apns_endpoint, f"localhost:{self.web_push_port}"
        )

    def subscribe(self, key: str, name: bytes | None = None) -> Subscription:
        """A browser subscribes for the sender with a public *key*; see WebPush.subscribe."""
        return self._web_push.subscribe(key, name)

    # --- what came ---------------------------------------------------------------------------

    def tally(self) -> Tally:
        """All counts at this moment; `devices` tells of single phones and pushes."""
        return self._control.tally()

    def reset(self) -> None:
        """Forget all phones, sends and counts. Tokens that senders hold stay good."""
        self._control.reset()

    # --- how they misbehave ------------------------------------------------------------------

    def inject(self, fault: Fault) -> None:
        """Let *fault* strike from now on, from any thread. Raises BadFault."""
        self._faults.inject(fault)

    def clear_faults(self) -> None:
        """Behave again, from any thread."""
        self._faults.clear()

    @property
    def active_faults(self) -> Sequence[ActiveFault]:
        """The faults that may still strike, in the order of their injection."""
        return self._faults.active()

    # --- start and stop --------------------------------------------------------------------

    def start(self) -> None:
        """Serve in a thread until `stop`; returns once everything listens. Raises PortInUse."""
        started: Future[Callable[[], object]] = Future()
        thread = threading.Thread(
            target=self._in_thread, args=(started,), name="phones", daemon=True
        )
        thread.start()
        self._running = (thread, started.result())

    def stop(self) -> None:
        """Close every connection and every port. Safe to call twice."""
        if self._running is None:
            return
        thread, stop = self._running
        self._running = None
        stop()
        thread.join()

    def __enter__(self) -> Phones:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _in_thread(self, started: Future[Callable[[], object]]) -> None:
        """Serve, and tell through *started* how to stop or what went wrong."""
        try:
            asyncio.run(self._until_stopped(started))
        except BaseException as error:
            # Whoever called start() waits there; once it has returned, nobody would hear.
            if started.done():
                raise
            started.set_exception(error)

    async def _until_stopped(self, started: Future[Callable[[], object]]) -> None:
        stopping = asyncio.Event()
        stop = partial(asyncio.get_running_loop().call_soon_threadsafe, stopping.set)
        await self.serve(stopping, lambda: started.set_result(stop))

    async def serve(self, stopping: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Serve in this event loop until *stopping* is set. Raises PortInUse."""
        with ExitStack() as ports:
            servers = await self._listen(ports)
            try:
                on_ready()
                await stopping.wait()
            finally:
                for server in servers:
                    server.close()
                await close_all(self._conversations)

    async def _listen(self, ports: ExitStack) -> list[asyncio.Server]:
        """Take all four ports before the first client may come to one of them."""
        fcm, apns, web_push, control = (
            ports.enter_context(bind(host, port, what))
            for host, port, what in (
                (self._host, self.fcm_port, "FCM"),
                (self._host, self.apns_port, "APNs"),
                (self._host, self.web_push_port, "Web Push"),
                (LOOPBACK, self.control_port, "the page of the phones"),
            )
        )
        self.fcm_port, self.apns_port, self.web_push_port, self.control_port = map(
            port_of, (fcm, apns, web_push, control)
        )
        self._web_push.origin = self.web_push_origin
        token_uri = f"{self.fcm_endpoint}/token"
        self._credentials.point_to(token_uri)
        self._token_endpoint.audiences.add(token_uri)
        return [
            await serve(fcm, self._fcm_greeting, self._tls(HTTP2, HTTP1)),
            await serve(apns, self._apns_greeting, self._tls(HTTP2)),
            await serve(web_push, self._web_push_greeting, self._tls(HTTP2, HTTP1)),
            await serve(control, partial(self._http1, self._control.answer)),
        ]

    def _tls(self, *protocols: str) -> ssl.SSLContext:
        files = self._credentials
        return tls_context(files.certificate_file, files.certificate_key_file, *protocols)

    def _fcm_greeting(self) -> Greeting:
        """FCM speaks HTTP/1.1 too, and to a client that names no protocol."""
        http1 = partial(self._http1, self._fcm.answer)
        http2 = partial(self._http2, self._fcm.answer, self._behaviour.fcm_streams)
        return Greeting({HTTP2: http2, HTTP1: http1, None: http1})

    def _apns_greeting(self) -> Greeting:
        """APNs speaks HTTP/2 alone."""
        streams = self._behaviour.apns_first_streams
        return Greeting({HTTP2: partial(self._http2, self._apns.answer, streams)})

    def _web_push_greeting(self) -> Greeting:
        """A push service speaks HTTP/1.1 too."""
        http1 = partial(self._http1, self._web_push.answer)
        http2 = partial(self._http2, self._web_push.answer, self._behaviour.web_push_streams)
        return Greeting({HTTP2: http2, HTTP1: http1, None: http1})

    def _http1(self, answer: Answerer) -> Http1Connection:
        return Http1Connection(answer, self._conversations)

    def _http2(self, answer: Answerer, streams: int) -> Http2Connection:
        return Http2Connection(answer, streams, self._conversations)


def nothing(phones: Phones) -> None:
    """Wait for no moment."""
    del phones


def run_phones(
    folder: Path,
    fcm_port: int,
    apns_port: int,
    control_port: int,
    on_push: Callable[[Received], None],
    on_ready: Callable[[Phones], None] = nothing,
    behaviour: Behaviour = Behaviour(),
    faults: Sequence[Fault] = (),
    *,
    web_push_port: int = 0,
) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread. Raises PortInUse and BadFault.

    *faults* begin at once. *on_ready* gets the phones once they listen: the moment to print
    `settings` and `control_url`.
    """
    phones = Phones(
        folder,
        fcm_port=fcm_port,
        apns_port=apns_port,
        web_push_port=web_push_port,
        control_port=control_port,
        behaviour=behaviour,
        on_push=on_push,
    )
    for fault in faults:
        phones.inject(fault)
    asyncio.run(_until_signal(phones, on_ready))


async def _until_signal(phones: Phones, on_ready: Callable[[Phones], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await phones.serve(stopping, lambda: on_ready(phones))
