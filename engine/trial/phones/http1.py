"""HTTP/1.1 for an Answerer: what google-auth and pyfcm speak to FCM, and browsers to the page.

Only what these need: a body has a Content-Length, connections are kept alive.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Final, NamedTuple

from engine.trial.phones.exchange import (
    MAX_BODY_BYTES,
    Answer,
    Answerer,
    Cut,
    Goodbye,
    Reply,
    Silence,
    StreamReset,
    request_from,
)
from engine.trial.phones.server import Conversation

MAX_HEAD_BYTES: Final = 65_536
REQUEST_LINE: Final = re.compile(r"([A-Z]+) (/\S*) HTTP/1\.([01])")
HEAD_END: Final = b"\r\n\r\n"

BAD_REQUEST: Final = Answer(400)
LENGTH_REQUIRED: Final = Answer(411)
TOO_LARGE: Final = Answer(413)


class _Head(NamedTuple):
    method: str
    path: str
    headers: list[tuple[str, str]]
    body_bytes: int
    keep_alive: bool


class Http1Connection(Conversation):
    """One client's connection: its requests are answered one after the other."""

    def __init__(self, answer: Answerer, others: set[Conversation]) -> None:
        super().__init__(others)
        self._answer = answer
        self._buffer = bytearray()
        self._is_waiting = False

    def greet(self) -> None:
        """The client speaks first."""

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are complete now."""
        self._buffer += data
        self._go_on()

    def close(self) -> None:
        """Close when what was written is sent."""
        self.transport.close()

    def _go_on(self) -> None:
        while not (self.transport.is_closing() or self._is_waiting) and self._answer_next():
            pass

    def _answer_next(self) -> bool:
        """Answer the first request in the buffer; False when it is not complete yet."""
        end = self._buffer.find(HEAD_END)
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                self._send(BAD_REQUEST, keep_alive=False)
            return False
        head = _head(self._buffer[:end].decode("latin-1"))
        if isinstance(head, Answer):
            self._send(head, keep_alive=False)
            return False
        begin = end + len(HEAD_END)
        if len(self._buffer) < begin + head.body_bytes:
            return False
        body = bytes(self._buffer[begin : begin + head.body_bytes])
        del self._buffer[: begin + head.body_bytes]
        request = request_from(head.method, head.path, head.headers, body)
        self._reply(self._answer(request), head.keep_alive)
        return True

    def _reply(self, reply: Reply, keep_alive: bool) -> None:
        """Without streams, what ends a request ends the connection."""
        match reply:
            case Answer(after=0):
                self._send(reply, keep_alive)
            case Answer():
                self._is_waiting = True
                loop = asyncio.get_running_loop()
                loop.call_later(reply.after, self._send_late, reply, keep_alive)
            case Silence():
                self._is_waiting = True
            case Goodbye():
                self.transport.close()
            case Cut(begun=Answer() as begun):
                self.transport.write(_written(begun, keep_alive)[: -len(begun.body) // 2])
                self.transport.close()
            case Cut() | StreamReset():
                self.cut()

    def _send_late(self, answer: Answer, keep_alive: bool) -> None:
        """The client may have given up meanwhile."""
        if not self.transport.is_closing():
            self._is_waiting = False
            self._send(answer, keep_alive)
            self._go_on()

    def _send(self, answer: Answer, keep_alive: bool) -> None:
        self.transport.write(_written(answer, keep_alive))
        if not keep_alive:
            self.transport.close()


def _written(answer: Answer, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        *(f"{name}: {value}" for name, value in answer.headers),
        f"content-length: {len(answer.body)}",
    ]
    if not keep_alive:
        lines.append("connection: close")
    return "\r\n".join(lines).encode("latin-1") + HEAD_END + answer.body


def _head(text: str) -> _Head | Answer:
    """The request line and headers, or the answer to one that makes no sense."""
    first, *lines = text.split("\r\n")
    request_line = REQUEST_LINE.fullmatch(first)
    if request_line is None:
        return BAD_REQUEST
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return BAD_REQUEST
        headers.append((name.lower(), value.strip()))
    named = dict(headers)
    if "transfer-encoding" in named:
        return LENGTH_REQUIRED
    length = named.get("content-length", "0")
    if not re.fullmatch("[0-9]{1,18}", length):
        return BAD_REQUEST
    if int(length) > MAX_BODY_BYTES:
        return TOO_LARGE
    keep_alive = request_line[3] == "1" and named.get("connection", "").lower() != "close"
    return _Head(request_line[1], request_line[2], headers, int(length), keep_alive)
