"""Endpoints: which addresses may be sent to, and that none is read in two ways."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.endpoints import PUSH_SERVICES, Endpoint, is_listed, may_be_listed, read

GOOD = [
    "https://fcm.googleapis.com/fcm/send/d61c5u920dw:APA91bEmnw8utjDYCqSRplFMVCzQMg9e5XxpYajv",
    "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABpK-x_",
    "https://web.push.apple.com/QGuQyavXutnMH9dtjCFqzY9bH",
    "https://wns2-by3p.notify.windows.com/w/?token=BQYAAAD%2bQ%2f&more=1",
    "https://fcm.googleapis.com:443/fcm/send/x",
]
BAD = [
    "https://evil.example/x",
    "https://fcm.googleapis.com.evil.example/x",
    "https://evil.example/fcm.googleapis.com/",
    "https://evilfcm.googleapis.com/x",
    "https://push.apple.com/x",
    "https://evil-push.apple.com/x",
    "https://fcm.googleapis.com:8443/x",
    "https://127.0.0.1/x",
    "https://localhost/x",
    "https://169.254.169.254/latest/meta-data",
]
MALFORMED = [
    "",
    "fcm.googleapis.com/x",
    "http://fcm.googleapis.com/x",
    "HTTPS://fcm.googleapis.com/x",
    "https://FCM.googleapis.com/x",
    "https://fcm.googleapis.com",
    "https://user:pass@fcm.googleapis.com/x",
    "https://fcm.googleapis.com@evil.example/x",
    "https://evil.example#@fcm.googleapis.com/x",
    "https://evil.example\\@fcm.googleapis.com/x",
    "https://fcm.googleapis.com/x#y",
    "https://fcm.googleapis.com/x y",
    "https://fcm.googleapis.com/x\r\nHost: evil.example",
    "https://fcm.googleapis.com/x\n",
    "https://fcm.googleapis.com./x",
    "https://.googleapis.com/x",
    "https://[::1]/x",
    "https://fcm.googleapis.com:0/x",
    "https://fcm.googleapis.com:/x",
    "https://fcm.googleapis.cοm/x",
    "file:///etc/passwd",
    "https://fcm.googleapis.com/" + "x" * 2_000,
]


@pytest.mark.parametrize("endpoint", GOOD)
def test_those_of_the_four_browsers_may_be_sent_to(endpoint: str) -> None:
    found = read(endpoint)

    assert found is not None
    assert is_listed(found.origin, PUSH_SERVICES)


@pytest.mark.parametrize("endpoint", BAD)
def test_no_other_host_may_be_sent_to(endpoint: str) -> None:
    found = read(endpoint)

    assert found is not None
    assert not is_listed(found.origin, PUSH_SERVICES)


@pytest.mark.parametrize("endpoint", MALFORMED)
def test_what_could_be_read_in_two_ways_is_no_endpoint(endpoint: str) -> None:
    assert read(endpoint) is None


@given(st.from_regex(r"https://[ -~]{0,60}", fullmatch=True))
def test_an_endpoint_is_read_as_others_read_it(endpoint: str) -> None:
    found = read(endpoint)

    if found is not None:
        parsed = urlsplit(endpoint)
        assert found.origin.removeprefix("https://").partition(":")[0] == parsed.hostname
        assert (parsed.username, parsed.fragment) == (None, "")
        assert endpoint.endswith(found.path)


def test_the_parts_are_where_to_connect_and_what_to_ask_for() -> None:
    assert read(GOOD[3]) == Endpoint(
        "https://wns2-by3p.notify.windows.com", "/w/?token=BQYAAAD%2bQ%2f&more=1"
    )
    assert read(GOOD[4]) == Endpoint("https://fcm.googleapis.com", "/fcm/send/x")


def test_a_listed_host_with_a_port_is_that_port_alone() -> None:
    assert is_listed("https://localhost:8443", ["localhost:8443"])
    assert not is_listed("https://localhost:8444", ["localhost:8443"])
    assert is_listed("https://localhost", ["localhost:443"])


@pytest.mark.parametrize("host", [*PUSH_SERVICES, "localhost:8443", "127.0.0.1"])
def test_a_list_holds_names_of_hosts(host: str) -> None:
    assert may_be_listed(host)


@pytest.mark.parametrize("host", ["", "*", "*.", "https://x.example", "X.example", "a.*.b", "x/y"])
def test_and_nothing_else(host: str) -> None:
    assert not may_be_listed(host)
