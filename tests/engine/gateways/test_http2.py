"""The transport: exactly one answer for each request, and no request written twice by itself."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest
from h2.errors import ErrorCodes

from engine.errors import ConfigError
from engine.gateways.http2.connection import MAX_ANSWER_BYTES
from engine.gateways.http2.exchange import Answer, Limits, NoAnswer, Request
from engine.gateways.http2.transport import MAX_REFUSALS, Http2
from tests.engine.gateways.peer import (
    Cut,
    GoAway,
    Peer,
    Reaction,
    Reset,
    Say,
    Script,
    Seen,
    Silence,
    accept,
)
from tests.servers import CertificateAuthority, free_port

HEADERS = ("content-type: application/json", "accept:")
A_MOMENT = 0.02
SOON = timedelta(seconds=0.3)
BODY = b"x" * 600

LIMITS = Limits()

Results = dict[str, Answer | NoAnswer]


def a_request(key: str) -> Request[str]:
    return Request(key, f"/{key}", HEADERS, BODY)


def send(http: Http2[str], keys: list[str]) -> Results:
    """Send all at once and wait for every result."""
    for key in keys:
        http.submit(a_request(key))
    return collected(http)


def collected(http: Http2[str]) -> Results:
    results: Results = {}
    while http.in_flight:
        for key, result in http.collect(1.0):
            assert key not in results, "a second answer"
            if isinstance(result, Answer):
                result = msgspec.structs.replace(result, connection=0)
            results[key] = result
    return results


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def outcomes(results: Results) -> Counter[object]:
    return Counter(
        result.status if isinstance(result, Answer) else result for result in results.values()
    )


@contextmanager
def connected(
    folder: Path, script: Script = accept, limits: Limits = LIMITS, *, streams: int = 100
) -> Iterator[tuple[Peer, Http2[str]]]:
    with (
        Peer(folder, script, streams=streams) as peer,
        closing(Http2[str](peer.url, limits, peer.ca_file)) as http,
    ):
        yield peer, http


# --- what is sent and what comes back --------------------------------------------------------


def test_a_request_arrives_as_it_was_given_and_its_answer_comes_back(tmp_path: Path) -> None:
    def answer(seen: Seen) -> Reaction:
        return Say(201, b"created " + seen.body)

    with connected(tmp_path, answer) as (peer, http):
        http.submit(Request("one", "/a/path", ("x-mark: 7", "accept:"), b"hello"))
        assert collected(http) == {"one": Answer(201, b"created hello", None)}
    (seen,) = peer.seen
    assert (seen.path, seen.body) == ("/a/path", b"hello")
    assert seen.headers[":method"] == "POST"
    assert seen.headers["x-mark"] == "7"
    assert "accept" not in seen.headers


def test_each_request_has_its_own_path_headers_and_body(tmp_path: Path) -> None:
    def echo(seen: Seen) -> Reaction:
        return Say(200, f"{seen.path} {seen.headers['x-mark']} ".encode() + seen.body)

    with connected(tmp_path, echo) as (_, http):
        for _ in range(3):  # so that places are used again
            for key in numbers(50):
                http.submit(Request(key, f"/{key}", (f"x-mark: {key}",), key.encode()))
            results = collected(http)
            assert results == {
                key: Answer(200, f"/{key} {key} {key}".encode()) for key in numbers(50)
            }


def test_thousands_of_requests_share_a_few_connections(tmp_path: Path) -> None:
    patient = Limits(connections=3, timeout=timedelta(minutes=1))
    with connected(tmp_path, limits=patient) as (peer, http):
        results = send(http, numbers(3_000))
    assert outcomes(results) == {200: 3_000}
    assert Counter(peer.paths) == Counter(f"/{key}" for key in numbers(3_000))
    assert peer.connections <= 3
    assert peer.overruns == 0


def test_connections_are_kept_from_one_batch_to_the_next(tmp_path: Path) -> None:
    with connected(tmp_path, limits=Limits(connections=1)) as (peer, http):
        for _ in range(20):
            assert outcomes(send(http, numbers(20))) == {200: 20}
        assert peer.connections == 1


def test_collecting_without_waiting_still_moves_bytes(tmp_path: Path) -> None:
    with connected(tmp_path) as (_, http):
        http.submit(a_request("one"))
        results: list[tuple[str, Answer | NoAnswer]] = []
        while not results:
            results = http.collect(0.0)
    assert results == [("one", Answer(200, connection=1))]


def test_collecting_when_nothing_is_in_flight_returns_nothing(tmp_path: Path) -> None:
    with connected(tmp_path) as (peer, http):
        assert http.collect(A_MOMENT) == []
        assert peer.connections == 0


def test_a_slow_answer_holds_up_no_other(tmp_path: Path) -> None:
    def slow_first(seen: Seen) -> Reaction:
        return Say(after=5.0) if seen.path == "/slow" else Say()

    with connected(tmp_path, slow_first) as (_, http):
        send(http, ["warm"])
        http.submit(a_request("slow"))
        for key in numbers(200):
            http.submit(a_request(key))
        answered: list[str] = []
        while len(answered) < 200:
            answered += [key for key, _ in http.collect(1.0)]
        assert "slow" not in answered
        assert http.in_flight == 1


def test_large_bodies_are_read_whole_and_kept_in_part(tmp_path: Path) -> None:
    with connected(tmp_path, lambda _: Say(400, b"e" * 150_000)) as (peer, http):
        results = send(http, numbers(60))
    assert set(results.values()) == {Answer(400, b"e" * MAX_ANSWER_BYTES)}
    assert peer.connections == 1


def test_closing_twice_is_safe_and_forgets_what_is_in_flight(tmp_path: Path) -> None:
    with connected(tmp_path, lambda _: Silence()) as (peer, http):
        http.submit(a_request("one"))
        while not peer.seen:
            http.collect(A_MOMENT)
        http.close()
        http.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "0"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read(tmp_path: Path, header: dict[str, str], seconds: int | None) -> None:
    with connected(tmp_path, lambda _: Say(429, headers=header)) as (_, http):
        assert send(http, ["one"]) == {"one": Answer(429, b"", seconds)}


def test_retry_after_may_be_a_date(tmp_path: Path) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    with connected(tmp_path, lambda _: Say(503, headers={"retry-after": date})) as (_, http):
        result = send(http, ["one"])["one"]
    assert isinstance(result, Answer)
    assert result.retry_after is not None
    assert 0 < result.retry_after <= 100


def test_an_absurd_retry_after_is_a_number_still(tmp_path: Path) -> None:
    absurd = {"retry-after": "99999999999999999999"}
    with connected(tmp_path, lambda _: Say(429, headers=absurd)) as (_, http):
        result = send(http, ["one"])["one"]
    assert isinstance(result, Answer)
    assert result.retry_after is None or result.retry_after > 0


# --- a new connection is not trusted with more than one request ------------------------------


@pytest.mark.parametrize("delay", [0.0, A_MOMENT])
def test_a_peer_that_allows_one_stream_until_the_first_success_is_never_overrun(
    tmp_path: Path, delay: float
) -> None:
    def apns(_: Seen) -> Reaction:
        return Say(after=delay, streams=100)

    with connected(tmp_path, apns, Limits(wary=True), streams=1) as (peer, http):
        assert outcomes(send(http, numbers(300))) == {200: 300}
        assert peer.overruns == 0


def test_a_refused_request_does_not_end_the_caution_of_a_wary_transport(tmp_path: Path) -> None:
    with connected(tmp_path, lambda _: Say(400), Limits(wary=True), streams=1) as (peer, http):
        assert outcomes(send(http, numbers(40))) == {400: 40}
        assert (peer.connections, peer.overruns) == (1, 0)


def test_streams_that_shrink_and_grow_again_lose_nothing(tmp_path: Path) -> None:
    def apns(seen: Seen) -> Reaction:
        bad = int(seen.path[1:]) % 10 == 3
        return Say(400, streams=1) if bad else Say(after=A_MOMENT, streams=100)

    with connected(tmp_path, apns, Limits(wary=True, connections=2), streams=1) as (peer, http):
        results = send(http, numbers(300))
    assert outcomes(results) == {200: 270, 400: 30}
    assert Counter(peer.paths) == Counter(f"/{key}" for key in numbers(300))


def test_a_limit_below_ours_is_found_out_and_kept(tmp_path: Path) -> None:
    limits = Limits(connections=2)
    with connected(tmp_path, lambda _: Say(after=A_MOMENT), limits, streams=10) as (peer, http):
        assert outcomes(send(http, numbers(200))) == {200: 200}
        assert peer.overruns == 0
        assert peer.connections <= 2


def test_a_silent_first_request_holds_up_the_others_for_a_moment_only(tmp_path: Path) -> None:
    def silent_first(seen: Seen) -> Reaction:
        return Silence() if seen.path == "/0" else Say()

    with connected(tmp_path, silent_first, Limits(timeout=timedelta(seconds=3))) as (peer, http):
        results = send(http, numbers(50))
    assert outcomes(results) == {200: 49, NoAnswer.TIMED_OUT: 1}
    assert results["0"] is NoAnswer.TIMED_OUT
    assert peer.connections == 2


# --- what the peer did not take is sent again, and nothing else ------------------------------


def test_refused_streams_are_sent_again(tmp_path: Path) -> None:
    refused: set[str] = set()

    def refuse_once(seen: Seen) -> Reaction:
        if int(seen.path[1:]) % 10 == 3 and seen.path not in refused:
            refused.add(seen.path)
            return Reset(ErrorCodes.REFUSED_STREAM)
        return Say(after=A_MOMENT)

    with connected(tmp_path, refuse_once) as (peer, http):
        assert outcomes(send(http, numbers(100))) == {200: 100}
    assert len(refused) == 10
    assert Counter(peer.paths) == Counter(f"/{key}" for key in numbers(100))


def test_a_request_that_is_refused_again_and_again_is_given_back(tmp_path: Path) -> None:
    def refuse(seen: Seen) -> Reaction:
        return Reset(ErrorCodes.REFUSED_STREAM) if seen.path == "/bad" else Say()

    with connected(tmp_path, refuse) as (peer, http):
        send(http, ["warm"])
        # Where nothing else was in flight, a refusal cannot always be told from a loss.
        assert send(http, ["bad"])["bad"] in (NoAnswer.BUSY, NoAnswer.LOST)
        assert outcomes(send(http, ["good"])) == {200: 1}
        assert peer.connections <= 2 + MAX_REFUSALS
    assert not NoAnswer.BUSY.may_have_arrived


@pytest.mark.parametrize("warm", [False, True])
def test_what_is_above_the_last_id_of_a_goaway_is_sent_again(tmp_path: Path, warm: bool) -> None:
    def leave(seen: Seen) -> Reaction:
        gone = seen.connection == 1 and seen.nth == 41
        return GoAway() if gone else Say(after=0.1)

    with connected(tmp_path, leave) as (peer, http):
        if warm:
            send(http, ["warm"])
        assert outcomes(send(http, numbers(100))) == {200: 100}
        assert peer.connections == 2
    wanted = numbers(100) + (["warm"] if warm else [])
    assert Counter(peer.paths) == Counter(f"/{key}" for key in wanted)


@pytest.mark.parametrize("quietly", [False, True], ids=["reset", "end of file"])
@pytest.mark.parametrize("count", [1, 2, 100])
def test_what_was_written_to_a_connection_that_is_lost_is_never_written_again(
    tmp_path: Path, quietly: bool, count: int
) -> None:
    def cut(seen: Seen) -> Reaction:
        last = seen.connection == 1 and seen.nth == count + 1
        return Cut(quietly=quietly) if last else Say(after=0.1)

    with connected(tmp_path, cut) as (peer, http):
        send(http, ["warm"])
        results = send(http, numbers(count))
        assert outcomes(results) == {NoAnswer.LOST: count}
        assert NoAnswer.LOST.may_have_arrived
        assert max(Counter(peer.paths).values()) == 1
        assert outcomes(send(http, ["after"])) == {200: 1}
        assert peer.connections == 2


def test_a_connection_that_was_closed_while_idle_is_replaced_without_loss(tmp_path: Path) -> None:
    with connected(tmp_path) as (peer, http):
        send(http, ["before"])
        peer.leave()
        http.collect(0.1)
        assert outcomes(send(http, numbers(50))) == {200: 50}
        assert peer.connections == 2
    assert max(Counter(peer.paths).values()) == 1


def test_when_every_connection_was_closed_while_idle_there_is_room_again(tmp_path: Path) -> None:
    """Who asks for room before they submit would wait for ever."""
    limits = Limits(connections=2, streams=10)
    with connected(tmp_path, lambda _: Say(after=A_MOMENT), limits, streams=10) as (peer, http):
        send(http, numbers(50))
        assert peer.connections == 2
        peer.leave()
        http.collect(0.1)
        assert http.room == 1
        assert outcomes(send(http, ["after"])) == {200: 1}
        assert peer.connections == 3


def test_a_stream_that_was_reset_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    def reset(seen: Seen) -> Reaction:
        bad = seen.path == "/7"
        return Reset(ErrorCodes.INTERNAL_ERROR) if bad else Say(after=A_MOMENT)

    with connected(tmp_path, reset) as (peer, http):
        results = send(http, numbers(50))
        assert peer.connections == 1
    assert outcomes(results) == {200: 49, NoAnswer.LOST: 1}
    assert results["7"] is NoAnswer.LOST


# --- silence ---------------------------------------------------------------------------------


def test_silence_is_a_result_within_the_timeout_while_the_others_are_answered(
    tmp_path: Path,
) -> None:
    def silent(seen: Seen) -> Reaction:
        return Silence() if seen.path == "/7" else Say()

    with connected(tmp_path, silent, Limits(timeout=SOON)) as (peer, http):
        results = send(http, numbers(50))
        assert peer.connections == 1
    assert outcomes(results) == {200: 49, NoAnswer.TIMED_OUT: 1}
    assert results["7"] is NoAnswer.TIMED_OUT
    assert NoAnswer.TIMED_OUT.may_have_arrived


def test_requests_that_never_got_a_stream_are_known_not_to_have_arrived(tmp_path: Path) -> None:
    with connected(tmp_path, lambda _: Silence(), Limits(timeout=SOON)) as (peer, http):
        results = send(http, numbers(50))
    assert outcomes(results) == {NoAnswer.TIMED_OUT: 1, NoAnswer.BUSY: 49}
    assert len(peer.paths) == 1


def test_a_connection_on_which_nothing_comes_any_more_is_replaced(tmp_path: Path) -> None:
    def first_dies(seen: Seen) -> Reaction:
        return Silence() if seen.connection == 1 and seen.nth > 1 else Say()

    with connected(tmp_path, first_dies, Limits(timeout=SOON)) as (peer, http):
        send(http, ["warm"])
        assert outcomes(send(http, numbers(5))) == {NoAnswer.TIMED_OUT: 5}
        assert outcomes(send(http, numbers(5))) == {200: 5}
        assert peer.connections == 2


def test_a_connection_that_is_let_go_ends_with_what_is_in_flight_on_it(tmp_path: Path) -> None:
    with connected(tmp_path, lambda _: Say(after=A_MOMENT)) as (peer, http):
        http.submit(a_request("first"))
        ((_, answer),) = http.collect(5.0)
        assert isinstance(answer, Answer)
        http.submit(a_request("old"))
        http.collect(0.0)
        http.let_go(answer.connection)
        http.let_go(answer.connection)
        assert outcomes(send(http, ["new"])) == {200: 2}
        assert {seen.path: seen.connection for seen in peer.seen} == {
            "/first": 1,
            "/old": 1,
            "/new": 2,
        }


# --- no connection ---------------------------------------------------------------------------


def test_an_unreachable_peer_is_told_to_all_at_once_and_tried_again_later(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    port = free_port()
    with closing(Http2[str](f"https://localhost:{port}", Limits(), authority.ca_file)) as http:
        assert outcomes(send(http, numbers(50))) == {NoAnswer.UNREACHABLE: 50}
        assert not NoAnswer.UNREACHABLE.may_have_arrived
        with Peer(tmp_path, authority=authority, port=port):
            while send(http, ["again"])["again"] is NoAnswer.UNREACHABLE:
                threading.Event().wait(0.1)
            assert outcomes(send(http, ["at-last"])) == {200: 1}


def test_a_name_that_does_not_exist_is_unreachable() -> None:
    with closing(Http2[str]("https://gateway.invalid", Limits())) as http:
        assert outcomes(send(http, ["one"])) == {NoAnswer.UNREACHABLE: 1}


def test_a_peer_that_accepts_and_says_nothing_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        url = f"https://localhost:{black_hole.getsockname()[1]}"
        with closing(Http2[str](url, Limits(timeout=SOON))) as http:
            assert outcomes(send(http, numbers(5))) == {
                NoAnswer.UNREACHABLE: 1,
                NoAnswer.BUSY: 4,
            }


def test_a_certificate_without_a_subject_alternative_name_is_refused(tmp_path: Path) -> None:
    with (
        Peer(tmp_path, nameless=True) as peer,
        closing(Http2[str](peer.url, Limits(), peer.ca_file)) as http,
    ):
        assert outcomes(send(http, numbers(3))) == {NoAnswer.UNTRUSTED: 3}
        assert outcomes(send(http, numbers(3))) == {NoAnswer.UNTRUSTED: 3}
    assert peer.seen == []


def test_every_connection_is_asked_who_is_there(tmp_path: Path) -> None:
    """A connection that follows another, on the same handles, is not believed because of it."""
    authority = CertificateAuthority(tmp_path)
    port = free_port()
    url = f"https://localhost:{port}"
    with closing(Http2[str](url, Limits(), authority.ca_file)) as http:
        with Peer(tmp_path, authority=authority, port=port) as good:
            assert outcomes(send(http, numbers(20))) == {200: 20}
            good.leave()
        with Peer(tmp_path, authority=authority, port=port, nameless=True) as bad:
            found: Counter[object] = Counter()
            while NoAnswer.UNTRUSTED not in found:
                found = outcomes(send(http, numbers(1)))
                assert 200 not in found
            assert bad.seen == []
        with Peer(tmp_path, authority=authority, port=port):
            while outcomes(send(http, ["again"])) != {200: 1}:
                threading.Event().wait(0.1)


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = CertificateAuthority(other, "A stranger")
    with (
        Peer(tmp_path) as peer,
        closing(Http2[str](peer.url, Limits(), stranger.ca_file)) as http,
    ):
        assert outcomes(send(http, numbers(3))) == {NoAnswer.UNTRUSTED: 3}
    assert peer.seen == []


@pytest.mark.parametrize(
    "certificate",
    [{"hosts": ("elsewhere.example",)}, {"valid_for": timedelta(days=-1)}],
    ids=["of another host", "expired"],
)
def test_a_certificate_that_is_not_good_for_this_host_now_is_refused(
    tmp_path: Path, certificate: dict[str, object]
) -> None:
    with (
        Peer(tmp_path, certificate=certificate) as peer,
        closing(Http2[str](peer.url, Limits(), peer.ca_file)) as http,
    ):
        assert outcomes(send(http, ["one"])) == {NoAnswer.UNTRUSTED: 1}
    assert peer.seen == []


def test_the_authorities_of_the_system_do_not_vouch_for_a_test_server(tmp_path: Path) -> None:
    with Peer(tmp_path) as peer, closing(Http2[str](peer.url, Limits())) as http:
        assert outcomes(send(http, ["one"])) == {NoAnswer.UNTRUSTED: 1}


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]], ids=["no ALPN", "ALPN"])
def test_an_http1_server_is_never_given_the_request(tmp_path: Path, protocols: list[str]) -> None:
    with (
        http1_server(tmp_path, protocols) as (url, ca_file, posts),
        closing(Http2[str](url, Limits(), ca_file)) as http,
    ):
        assert outcomes(send(http, numbers(3))) == {NoAnswer.NOT_HTTP2: 3}
        assert not NoAnswer.NOT_HTTP2.may_have_arrived
    assert posts == []


def test_an_endpoint_without_tls_is_refused() -> None:
    with pytest.raises(ConfigError, match="https://"):
        Http2[str]("http://localhost:1", Limits())


@contextmanager
def http1_server(folder: Path, protocols: list[str]) -> Iterator[tuple[str, Path, list[str]]]:
    posts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    authority = CertificateAuthority(folder)
    issued = authority.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if protocols:
        context.set_alpn_protocols(protocols)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://localhost:{server.server_port}", authority.ca_file, posts
        finally:
            server.shutdown()
            thread.join()
