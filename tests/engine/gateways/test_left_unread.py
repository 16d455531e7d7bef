"""An answer that libcurl has taken from the socket and then left unread is not waited for in vain.

libcurl lets OpenSSL read ahead, so several TLS records leave the socket at once. The request that
is ended by one of them does not look at the next, and tells no other request of the connection
that something lies there. No socket becomes readable any more.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pycurl
import pytest

from engine.gateways.http2 import connection
from engine.gateways.http2.exchange import Limits
from tests.engine.gateways.peer import Reaction, Say, Seen, Silence
from tests.engine.gateways.test_http2 import a_request, collected, connected, outcomes, send


def test_what_lies_behind_the_end_of_another_answer_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held in the middle of libcurl's round, where the race is otherwise lost once in a while.

    libcurl goes through the requests in the order in which they were begun: the first finds only
    the third's answer. Before the second's turn its own answer arrives, and the first's behind it.
    """
    rounds: list[int] = []

    def between_two_turns(*_progress: int) -> int:
        if rounds and rounds.pop():
            peer.answer("/second", "/first")
        return 0

    watched = ((pycurl.NOPROGRESS, 0), (pycurl.XFERINFOFUNCTION, between_two_turns))
    monkeypatch.setattr(connection, "OPTIONS", (*connection.OPTIONS, *watched))

    def silent(seen: Seen) -> Reaction:
        return Say() if seen.path == "/warm" else Silence()

    with connected(tmp_path, silent, Limits(timeout=timedelta(seconds=3))) as (peer, http):
        send(http, ["warm"])
        for key in ("first", "second", "third"):
            http.submit(a_request(key))
        while len(peer.seen) < 4:
            http.collect(0.01)
        assert http.collect(0.1) == []  # libcurl has done all that it has to do by the clock
        rounds.append(True)
        peer.answer("/third")
        assert outcomes(collected(http)) == {200: 3}
