"""Faults: which requests they strike, and what is said then."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from engine.trial.phones.apns_message import STATUS
from engine.trial.phones.catalogue import CATALOGUE, Afterwards, sentences
from engine.trial.phones.exchange import Answer, Cut, Goodbye, Silence, StreamReset
from engine.trial.phones.fault import BadFault, Fault
from engine.trial.phones.faults import read_fault
from tests.engine.trial.phones.support import IPHONE, PHONE, Clock, Gateways, a_message, answered

IPHONES = [f"{number:064x}" for number in range(200)]
CONNECTION_FAULTS = {
    "slow", "silence", "answer_lost", "refused_stream", "reset_before", "reset_after",
    "cut_before", "cut_after", "half_answer", "goaway",
}  # fmt: skip


def struck(gateways: Gateways, phones: list[str]) -> list[str]:
    """Those of *phones* whose push was refused, in the order of sending."""
    return [phone for phone in phones if gateways.send_apns(token=phone).status != 200]


def details(answer: Answer) -> dict[str, dict]:
    """The details of one of Google's errors, by the last word of their type."""
    found = answered(answer)["error"].get("details", [])
    return {detail["@type"].rpartition(".")[2]: detail for detail in found}


def header(answer: Answer, name: str) -> str | None:
    return dict(answer.headers).get(name)


# --- which requests -------------------------------------------------------------------------


def test_a_fault_for_a_device_strikes_that_device_alone(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("apns", "BadDeviceToken", token=IPHONES[3].upper()))
    assert struck(gateways, IPHONES[:6]) == [IPHONES[3]]
    gateways.faults.inject(Fault("fcm", "UNREGISTERED", token=PHONE))
    assert gateways.send_fcm(a_message(token=PHONE)).status == 404
    assert gateways.send_fcm(a_message(token=PHONE.upper())).status == 200


def test_a_fault_strikes_its_own_gateway_alone(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("fcm", "silence"))
    assert gateways.send_apns().status == 200
    assert isinstance(gateways.send_fcm(a_message()), Silence)


def test_a_share_is_about_so_many_and_the_same_in_every_run_and_order(
    gateways: Gateways,
) -> None:
    def run(phones: list[str], seed: int = 0) -> set[str]:
        gateways.faults.clear()
        gateways.faults.inject(Fault("apns", "TooManyRequests", share=0.2, seed=seed))
        return set(struck(gateways, phones))

    first = run(IPHONES)
    assert 20 < len(first) < 60
    assert run(list(reversed(IPHONES))) == first
    assert run(IPHONES, seed=1) != first


def test_a_share_decides_anew_for_each_request_to_one_device(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("apns", "TooManyRequests", share=0.5))
    assert 50 < len(struck(gateways, [IPHONE] * 200)) < 150


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 20)])
def test_a_share_of_nothing_and_of_all(gateways: Gateways, share: float, expected: int) -> None:
    gateways.faults.inject(Fault("apns", "TooManyRequests", share=share))
    assert len(struck(gateways, IPHONES[:20])) == expected


def test_a_fault_for_the_next_requests_is_spent_after_them(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("apns", "TooManyRequests", count=2))
    assert struck(gateways, IPHONES[:5]) == IPHONES[:2]
    assert gateways.faults.active() == []


def test_a_fault_for_a_time_ends_with_it(gateways: Gateways, clock: Clock) -> None:
    gateways.faults.inject(Fault("fcm", "UNAVAILABLE", seconds=5.0))
    clock.go(seconds=4.9)
    assert gateways.send_fcm(a_message()).status == 503
    clock.go(seconds=0.1)
    assert gateways.send_fcm(a_message()).status == 200
    assert gateways.faults.active() == []


def test_of_two_faults_the_first_injected_strikes(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("apns", "Shutdown", count=1))
    gateways.faults.inject(Fault("apns", "TooManyRequests", count=1))
    assert [gateways.send_apns().status for _ in range(3)] == [503, 429, 200]


def test_a_request_that_is_wrong_by_itself_is_told_so_and_spends_no_fault(
    gateways: Gateways,
) -> None:
    gateways.faults.inject(Fault("apns", "TooManyRequests", count=1))
    gateways.faults.inject(Fault("fcm", "INTERNAL", count=1))
    assert answered(gateways.send_apns(apns_topic=None))["reason"] == "MissingTopic"
    assert gateways.send_fcm(a_message(token="short")).status == 400
    assert [one.struck for one in gateways.faults.active()] == [0, 0]


def test_clearing_ends_every_fault(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("apns", "TooManyRequests"))
    gateways.faults.clear()
    assert struck(gateways, IPHONES[:2]) == []


# --- what is said ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "code", "also"),
    [
        ("UNREGISTERED", 404, "UNREGISTERED", set()),
        ("INVALID_ARGUMENT", 400, "INVALID_ARGUMENT", {"BadRequest"}),
        ("INVALID_TOKEN", 400, "INVALID_ARGUMENT", set()),
        ("APNS_UNREGISTERED", 400, "INVALID_ARGUMENT", {"ApnsError"}),
        ("ACCESS_TOKEN_EXPIRED", 401, None, {"ErrorInfo"}),
        ("THIRD_PARTY_AUTH_ERROR", 401, "THIRD_PARTY_AUTH_ERROR", {"ApnsError"}),
        ("SENDER_ID_MISMATCH", 403, "SENDER_ID_MISMATCH", set()),
        ("PERMISSION_DENIED", 403, None, {"ErrorInfo"}),
        ("QUOTA_EXCEEDED", 429, "QUOTA_EXCEEDED", {"QuotaFailure"}),
        ("DEVICE_QUOTA_EXCEEDED", 429, "QUOTA_EXCEEDED", {"QuotaFailure"}),
        ("INTERNAL", 500, "INTERNAL", set()),
        ("UNAVAILABLE", 503, "UNAVAILABLE", set()),
    ],
)
def test_each_error_of_fcm_has_its_status_its_code_and_its_details(
    gateways: Gateways, name: str, status: int, code: str | None, also: set[str]
) -> None:
    gateways.faults.inject(Fault("fcm", name))
    answer = gateways.send_fcm(a_message())
    found = details(answer)
    assert answer.status == answered(answer)["error"]["code"] == status
    assert found.pop("FcmError", {}).get("errorCode") == code
    assert set(found) == also
    assert gateways.fcm.refused == {name: 1}
    assert gateways.devices.received().last == 0


def test_a_dead_iphone_behind_fcm_is_named_with_what_apns_said(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("fcm", "APNS_UNREGISTERED"))
    said = details(gateways.send_fcm(a_message()))["ApnsError"]
    assert (said["statusCode"], said["reason"]) == (410, "Unregistered")


@pytest.mark.parametrize(("name", "status"), [("html_404", 404), ("html_502", 502)])
def test_a_front_end_of_google_speaks_html(gateways: Gateways, name: str, status: int) -> None:
    gateways.faults.inject(Fault("fcm", name))
    answer = gateways.send_fcm(a_message())
    assert answer.status == status
    assert str(header(answer, "content-type")).startswith("text/html")
    assert answer.body.startswith(b"<!DOCTYPE html>")


def test_a_truncated_answer_is_no_json_and_the_push_was_taken(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("fcm", "truncated"))
    answer = gateways.send_fcm(a_message())
    assert answer.status == 200
    assert answer.body.startswith(b'{"name"')
    assert not answer.body.endswith(b"}")
    assert gateways.devices.counts().fcm == 1


@pytest.mark.parametrize(
    ("wish", "sent"), [(None, None), ("30", "30"), ("1e99", "1e99"), ("date:x", "date:x")]
)
def test_retry_after_is_sent_as_it_is_given_or_missing(
    gateways: Gateways, wish: str | None, sent: str | None
) -> None:
    gateways.faults.inject(Fault("fcm", "QUOTA_EXCEEDED", retry_after=wish))
    assert header(gateways.send_fcm(a_message()), "retry-after") == sent


def test_retry_after_can_be_a_date_so_many_seconds_ahead(gateways: Gateways, clock: Clock) -> None:
    gateways.faults.inject(Fault("fcm", "UNAVAILABLE", retry_after="date:90"))
    clock.go(minutes=1)
    sent = str(header(gateways.send_fcm(a_message()), "retry-after"))
    assert sent.endswith(" GMT")
    assert (parsedate_to_datetime(sent) - clock()).total_seconds() == 90


@pytest.mark.parametrize("reason", sorted(STATUS))
def test_each_reason_of_apns_has_its_status(gateways: Gateways, reason: str) -> None:
    gateways.faults.inject(Fault("apns", reason))
    answer = gateways.send_apns()
    assert (answer.status, answered(answer)["reason"]) == (STATUS[reason], reason)
    assert header(answer, "apns-id")
    assert gateways.apns.refused == {reason: 1}
    assert gateways.devices.received().last == 0


@pytest.mark.parametrize("reason", ["Unregistered", "ExpiredToken"])
def test_a_410_says_since_when_as_chosen_or_else_now(
    gateways: Gateways, clock: Clock, reason: str
) -> None:
    older = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000)
    gateways.faults.inject(Fault("apns", reason, timestamp=older, count=1))
    gateways.faults.inject(Fault("apns", reason))
    said = [answered(gateways.send_apns())["timestamp"] for _ in range(2)]
    assert said == [older, int(clock().timestamp() * 1_000)]


@pytest.mark.parametrize("name", sorted(CONNECTION_FAULTS))
def test_a_fault_of_the_connection_is_said_to_a_push_that_was_taken_or_not(
    gateways: Gateways, name: str
) -> None:
    gateways.faults.inject(Fault("apns", name))
    reply = gateways.send_apns()
    kinds = {
        "slow": Answer, "silence": Silence, "answer_lost": Silence, "refused_stream": StreamReset,
        "reset_before": StreamReset, "reset_after": StreamReset, "cut_before": Cut,
        "cut_after": Cut, "half_answer": Cut, "goaway": Goodbye,
    }  # fmt: skip
    taken = name in {"slow", "answer_lost", "reset_after", "cut_after", "half_answer"}
    assert isinstance(reply, kinds[name])
    assert gateways.devices.received().last == taken


def test_a_slow_answer_takes_the_given_delay_or_five_seconds(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("fcm", "slow", delay=0.25, count=1))
    gateways.faults.inject(Fault("fcm", "slow"))
    assert [gateways.send_fcm(a_message()).after for _ in range(2)] == [0.25, 5.0]


def test_an_unregistered_phone_stays_so_when_only_its_answer_is_disturbed(
    gateways: Gateways,
) -> None:
    gateways.devices.uninstall("fcm", PHONE)
    gateways.faults.inject(Fault("fcm", "slow", delay=1.0))
    answer = gateways.send_fcm(a_message())
    assert (answer.status, answer.after) == (404, 1.0)


# --- the catalogue --------------------------------------------------------------------------


def test_the_catalogue_has_every_reason_of_apns_and_every_fault_of_the_connection() -> None:
    assert set(CATALOGUE["apns"]) == set(STATUS) | CONNECTION_FAULTS
    assert all(set(known) >= CONNECTION_FAULTS for known in CATALOGUE.values())


def test_each_fault_has_one_sentence_that_says_whether_the_push_is_taken() -> None:
    for known in CATALOGUE.values():
        for trouble in known.values():
            assert trouble.sentence.endswith(".")
    taken = {name for name, trouble in CATALOGUE["fcm"].items() if isinstance(trouble, Afterwards)}
    said = {name for name, sentence in sentences()["fcm"].items() if "aken" in sentence}
    assert taken <= said


# --- asking for one -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gateway", "name", "meant"),
    [
        ("fcm", "UNREGISTRED", "UNREGISTERED"),
        ("apns", "unregistered", "Unregistered"),
        ("apns", "TooManyPushes", "TooManyRequests"),
        ("oauth", "invalid-grant", "invalid_grant"),
    ],
)
def test_a_name_that_there_is_not_is_answered_with_the_nearest(
    gateways: Gateways, gateway: str, name: str, meant: str
) -> None:
    with pytest.raises(BadFault) as raised:
        gateways.faults.inject(Fault(gateway, name))
    assert name in raised.value.problem
    assert f"Did you mean {meant}?" in raised.value.remedy
    assert gateways.faults.active() == []


@pytest.mark.parametrize(
    ("name", "settings", "word"),
    [
        ("UNAVAILABLE", {"share": 1.5}, "share"),
        ("UNAVAILABLE", {"share": -0.1}, "share"),
        ("UNAVAILABLE", {"count": 0}, "count"),
        ("UNAVAILABLE", {"seconds": 0.0}, "seconds"),
        ("slow", {"delay": -1.0}, "delay"),
        ("UNAVAILABLE", {"retry_after": "1\r\nx: y"}, "retry_after"),
        ("UNAVAILABLE", {"timestamp": 1}, "timestamp"),
        ("UNREGISTERED", {"retry_after": "1"}, "retry_after"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    gateways: Gateways, name: str, settings: dict[str, object], word: str
) -> None:
    with pytest.raises(BadFault, match=word):
        gateways.faults.inject(Fault("fcm", name, **settings))


def test_a_fault_is_read_from_one_line() -> None:
    line = f"apns TooManyRequests token={IPHONE} share=0.5 count=3 seconds=1.5 retry_after='a b'"
    assert read_fault(line) == Fault(
        "apns", "TooManyRequests", IPHONE, 0.5, 3, 1.5, retry_after="a b"
    )


@pytest.mark.parametrize(
    "line",
    ["", "fcm", "fcm UNAVAILABLE often", "sms UNAVAILABLE", "fcm INTERNAL pace=1", "fcm ' share=1"],
)
def test_a_line_that_is_no_fault_is_refused_with_an_example(line: str) -> None:
    with pytest.raises(BadFault) as raised:
        read_fault(line)
    assert "fcm UNAVAILABLE share=0.1" in raised.value.remedy


def test_a_fault_does_not_show_its_token() -> None:
    assert PHONE not in repr(Fault("fcm", "UNREGISTERED", token=PHONE))
