"""HTTP/2, on the state machine of the `h2` library, for an Answerer that knows no socket.

One `Http2Connection` for each connection; asyncio gives it bytes, h2 turns them into events, a
complete request becomes an Answer and goes back as frames. Flow control holds in both directions,
and a client that opens more streams than it was allowed loses the connection, as with the real
gateways. A Reply that is no Answer ends the request, or the connection, in the way it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
)
from h2.events import StreamReset as StreamWasReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from engine.trial.phones.exchange import (
    MAX_BODY_BYTES,
    Answer,
    Answerer,
    Cut,
    Goodbye,
    Reply,
    Request,
    StreamReset,
    request_from,
)
from engine.trial.phones.server import Conversation

COLON: Final = ord(":")  # the first character of a pseudo-header's name

CONNECTION_WINDOW_BYTES: Final = 1024 * 1024
"""What all streams of a connection may send ahead of our reading; the default halts at 64 KiB."""

LINGERING_SECONDS: Final = 0.5


@dataclass(slots=True)
class _Incoming:
    """A request of which not everything has arrived."""

    headers: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)

    def request(self) -> Request:
        """The request, now that its end is there."""
        pseudo: dict[bytes, bytes] = {}
        plain: list[tuple[str, str]] = []
        for name, value in self.headers:
            if name[0] == COLON:
                pseudo[name] = value
            else:
                plain.append((name.decode("latin-1"), value.decode("latin-1")))
        return request_from(
            pseudo[b":method"].decode("latin-1"),
            # CONNECT, which nobody answers here, has no path.
            pseudo.get(b":path", b"").decode("latin-1"),
            plain,
            bytes(self.body),
        )


class Http2Connection(Conversation):
    """One client's connection, with at most *streams* concurrent streams to begin with."""

    def __init__(self, answer: Answerer, streams: int, others: set[Conversation]) -> None:
        super().__init__(others)
        self._answer = answer
        self._streams = streams
        self._incoming: dict[int, _Incoming] = {}
        self._complete: list[int] = []
        self._unsent: dict[int, memoryview] = {}
        self._unanswered: set[int] = set()
        self._last_seen = 0
        self._last: int | None = None
        # Outgoing headers are our own constants, so only what comes in is validated.
        self._h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        # Set before the first byte: a limit set later is enforced only once the client agrees.
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: streams,
                SettingCodes.INITIAL_WINDOW_SIZE: MAX_BODY_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE,
            },
        )

    def greet(self) -> None:
        """Our settings come first."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW_BYTES)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are complete now."""
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            # h2 has already queued the GOAWAY that says what was wrong, to a client that would
            # understand it.
            self._flush()
            self.transport.close()
            return
        for event in events:
            self._on_event(event)
        if not self.transport.is_closing():
            self._send_all()
            self._flush()
            self._end_when_done()

    def close(self) -> None:
        """Say goodbye and close."""
        self._h2.close_connection(ErrorCodes.NO_ERROR)
        self._flush()
        self.transport.close()

    # --- h2 tells these --------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        handler = self._HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _on_request(self, event: RequestReceived) -> None:
        # After our goodbye a client is not listened to any more.
        if self._last is None or event.stream_id <= self._last:
            self._incoming[event.stream_id] = _Incoming(event.headers)
            self._unanswered.add(event.stream_id)

    def _on_data(self, event: DataReceived) -> None:
        incoming = self._incoming.get(event.stream_id)
        if incoming is not None:
            room = MAX_BODY_BYTES + 1 - len(incoming.body)
            incoming.body += event.data[:room]
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def _on_end(self, event: StreamEnded) -> None:
        self._complete.append(event.stream_id)

    def _on_reset(self, event: StreamWasReset) -> None:
        self._forget(event.stream_id)

    def _on_goodbye(self, event: ConnectionTerminated) -> None:
        del event
        self.transport.close()

    # --- sending ---------------------------------------------------------------------------

    def _send_all(self) -> None:
        """Go on with what waited for room, then answer what has become complete.

        Only now, when all of a piece is read: h2 has long acted on its end when it tells of its
        beginning, so a stream may be gone that an earlier event is about.
        """
        for stream_id, rest in list(self._unsent.items()):
            self._send_body(stream_id, rest)
        for stream_id in self._complete:
            incoming = self._incoming.pop(stream_id, None)
            if incoming is not None and not self.transport.is_closing():
                reply = self._answer(incoming.request())
                if not isinstance(reply, Goodbye):
                    self._last_seen = max(self._last_seen, stream_id)
                self._reply(stream_id, reply)
        self._complete.clear()

    def _reply(self, stream_id: int, reply: Reply) -> None:
        match reply:
            case Answer(after=0):
                self._send(stream_id, reply)
            case Answer():
                loop = asyncio.get_running_loop()
                loop.call_later(reply.after, self._send_late, stream_id, reply)
            case StreamReset():
                self._reset(stream_id, refused=reply.refused)
            case Goodbye():
                self._say_goodbye(stream_id, reply)
            case Cut():
                self._cut(stream_id, reply.begun)

    def _send_late(self, stream_id: int, answer: Answer) -> None:
        """The client may have given up meanwhile, on the request or on us."""
        if stream_id in self._unanswered and not self.transport.is_closing():
            self._send(stream_id, answer)
            self._flush()
            self._end_when_done()

    def _reset(self, stream_id: int, *, refused: bool) -> None:
        self._h2.reset_stream(
            stream_id, ErrorCodes.REFUSED_STREAM if refused else ErrorCodes.INTERNAL_ERROR
        )
        self._forget(stream_id)

    def _say_goodbye(self, stream_id: int, goodbye: Goodbye) -> None:
        """GOAWAY with the last id that is looked at; what is above it never is.

        h2's own goodbye would forbid to answer the streams below.
        """
        if self._last is None:
            self._last = max(self._last_seen, stream_id - 2)
            self._flush()
            frame = GoAwayFrame(0, last_stream_id=self._last, additional_data=goodbye.said)
            self.transport.write(frame.serialize())
        if stream_id <= self._last:  # a later one was complete earlier
            self._reset(stream_id, refused=True)
        for above in [one for one in self._unanswered if one > self._last]:
            self._forget(above)

    def _end_when_done(self) -> None:
        """After a goodbye the connection lasts until what was looked at is answered.

        And a moment longer: a client that finds it closed already cannot tell a goodbye from a
        loss.
        """
        if self._last is not None and not self._unanswered:
            asyncio.get_running_loop().call_later(LINGERING_SECONDS, self.transport.close)

    def _cut(self, stream_id: int, begun: Answer | None) -> None:
        if begun is None:
            self._flush()
            self.cut()
            return
        self._h2.send_headers(stream_id, _head_of(begun))
        room = self._h2.local_flow_control_window(stream_id)
        half = begun.body[: min(len(begun.body) // 2, room)]
        if half:
            self._h2.send_data(stream_id, half)
        self._flush()
        self.transport.close()

    def _forget(self, stream_id: int) -> None:
        self._incoming.pop(stream_id, None)
        self._unsent.pop(stream_id, None)
        self._unanswered.discard(stream_id)

    def _send(self, stream_id: int, answer: Answer) -> None:
        self._h2.send_headers(stream_id, _head_of(answer), end_stream=not answer.body)
        self._send_body(stream_id, memoryview(answer.body))
        if answer.streams is not None and answer.streams != self._streams:
            self._streams = answer.streams
            self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: answer.streams})

    def _send_body(self, stream_id: int, rest: memoryview) -> None:
        """Send as much as the client's windows let, and keep the rest for when they open."""
        while rest:
            window = self._h2.local_flow_control_window(stream_id)
            room = min(window, self._h2.max_outbound_frame_size)
            if room <= 0:
                self._unsent[stream_id] = rest
                return
            self._h2.send_data(stream_id, bytes(rest[:room]), end_stream=len(rest) <= room)
            rest = rest[room:]
        self._forget(stream_id)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    _HANDLERS: Final[Mapping[type[Event], Callable[..., None]]] = {
        RequestReceived: _on_request,
        DataReceived: _on_data,
        StreamEnded: _on_end,
        StreamWasReset: _on_reset,
        ConnectionTerminated: _on_goodbye,
    }


def _head_of(answer: Answer) -> list[tuple[str, str]]:
    return [
        (":status", str(answer.status)),
        *answer.headers,
        ("content-length", str(len(answer.body))),
    ]
