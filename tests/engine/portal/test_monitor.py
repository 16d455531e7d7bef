"""The monitor shows what happened, what waits and what is to be mended, whatever is away."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from engine.portal.charts import HEIGHT, WIDTH, Bars
from engine.portal.portal import Portal
from engine.ports import Depth, Queue
from engine.services.asking import Asked, Shared, Trouble
from engine.services.monitor import MINUTES, Watch
from engine.sources.capture import Finding
from engine.store import alarms, tallies
from engine.store.lags import Step
from engine.store.tallies import Tallied
from rules.gateway_state import GatewayState
from rules.outcomes import Verdict
from rules.tool_rights import Grant, Right, Tool
from tests.builders import NOW, a_change, an_outcome
from tests.district import District, scored
from tests.engine.portal.browser import Browser
from tests.engine.portal.happenings import (
    LATER,
    SECOND,
    Neighbours,
    let_happen,
    surround,
)


@pytest.fixture
def around(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Neighbours:
    return surround(portal, monkeypatch)


@pytest.fixture
def watcher(around: Neighbours, browser: Browser) -> Browser:
    """Somebody who may see the monitor and nothing else."""
    del around
    browser.make_account("wei", Grant(Tool.MONITOR, Right.READ))
    browser.sign_in("wei")
    return browser


def cells(page: str, row: str) -> list[str]:
    """The words of the first table row that begins with *row*."""
    found = re.search(rf'<tr><th scope="row">{re.escape(row)}.*?</tr>', page, re.DOTALL)
    assert found, row
    plain = re.sub(r"<[^>]+>", " ", re.sub(r"</t[hd]>", "|", found[0]))
    return [" ".join(one.split()) for one in plain.split("|")][:-1]


# The numbers


def test_the_numbers_are_those_of_what_happened(
    portal: Portal, district: District, around: Neighbours
) -> None:
    del around
    let_happen(district)

    seen = portal.watch.look(LATER)

    assert (seen.changes, seen.accepted, len(seen.minutes)) == (1, 1, MINUTES)
    assert (seen.minutes[-1].at, seen.minutes[-1].changes) == (NOW, 1)
    assert seen.minutes[-1].answers == {
        Verdict.ACCEPTED: 1, Verdict.UNREGISTERED: 1, Verdict.DEFERRED: 1,
    }  # fmt: skip
    assert seen.answers == {
        Tallied("accepted", "fcm"): 1,
        Tallied("unregistered", "fcm", "UNREGISTERED"): 1,
        Tallied("deferred", "apns", "HTTP_503"): 1,
    }
    assert {step: one.average for step, one in seen.lags.items()} == {
        Step.DECIDED: 2 * SECOND, Step.ANSWERED: SECOND, Step.RECORDED: 2 * SECOND,
    }  # fmt: skip
    assert {one.name: (one.state, one.accepted, *one.phones) for one in seen.gateways} == {
        "fcm": (GatewayState.OPEN, 1, 1, 1),
        "apns": (GatewayState.PAUSING, 0, 1, 0),
    }
    assert seen.retries == 1


def test_only_the_last_hour_is_shown_and_the_whole_never_falls(
    portal: Portal, district: District, around: Neighbours
) -> None:
    del around
    let_happen(district)
    tomorrow = LATER + timedelta(days=1, hours=1)
    before = portal.watch.look(tomorrow)
    district.app(tallies.forget, tomorrow)
    after = portal.watch.look(tomorrow)

    for seen in (before, after):
        assert (seen.changes, seen.answers, seen.changes_ever) == (0, {}, 1)
        assert sum(seen.answers_ever.values()) == 3
        assert seen.lags_ever[Step.DECIDED] == (1, 2 * SECOND)
        assert seen.lags[Step.DECIDED].average is None


def test_a_reason_that_nobody_knows_is_counted_as_another(
    portal: Portal, district: District, around: Neighbours
) -> None:
    del around
    (push, *_) = district.evaluate(scored(9, 17))
    district.record([an_outcome(push, Verdict.REFUSED, reason="Ada_Reyes", gateway="fcm")])

    assert list(portal.watch.look(LATER).answers) == [Tallied("refused", "fcm", "OTHER")]


def test_what_was_held_does_not_count_as_late(district: District) -> None:
    held = "01a208d0-5240-8000-8000-000000000001.1"
    district.record([an_outcome(held, gateway="fcm")])

    assert Tallied("answered") not in district.read(tallies.ever)


def test_a_gateway_with_an_alarm_is_stopped_until_it_is_mended(
    portal: Portal, district: District, around: Neighbours
) -> None:
    del around
    let_happen(district)
    district.app(alarms.report, "gateway", "fcm", "Broken.", "Mend it.", NOW)
    states = {one.name: one.state for one in portal.watch.look(LATER).gateways}
    district.app(alarms.resolve, "gateway", "fcm")
    mended = {one.name: one.state for one in portal.watch.look(LATER).gateways}

    assert (states["fcm"], mended["fcm"]) == (GatewayState.STOPPED, GatewayState.OPEN)


# The page


def test_the_page_shows_the_numbers(watcher: Browser, district: District) -> None:
    let_happen(district)
    page = watcher.get("/monitor").text

    assert cells(page, "Relay")[1:3] == ["12", "9 s"]
    assert cells(page, "Evaluate")[1:] == ["7", "–", "2 s", "1"]
    assert cells(page, "Deliver")[1:] == ["4,321", "–", "1 s", "3"]
    assert cells(page, "Record")[1:] == ["0", "–", "2 s", "1"]
    assert cells(page, "FCM")[1:] == ["Open", "1", "1", "1"]
    assert cells(page, "APNs")[1] == "Pausing: it makes us wait"
    assert cells(page, "Phone is dead")[1:4] == ["FCM", "UNREGISTERED", "1"]
    assert "2 messages to deliver could not be read." in page


def test_a_chart_says_in_words_and_in_a_table_what_it_shows(
    watcher: Browser, district: District
) -> None:
    let_happen(district)
    page = watcher.get("/monitor").text

    charts = re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL)
    assert len(charts) == 2
    for chart in charts:
        for part in ("title", "desc"):
            (named,) = re.findall(rf'<{part} id="([^"]+)">[^<]*\w', chart)
            assert named in chart.partition("aria-labelledby=")[2].partition(">")[0]
        assert "1 at most, 1 in the hour" in chart
        assert 'fill="currentColor"' in chart
    minutes = re.findall(r'<tr><th scope="row">\d+:\d\d', page)
    assert len(minutes) == MINUTES
    assert cells(page, "8:30")[1:] == ["1", "1", "1", "0", "1"]  # half past eight in Chicago


def test_what_renews_itself_is_the_same_without_the_frame(
    watcher: Browser, district: District
) -> None:
    let_happen(district)
    part = watcher.get("/monitor/now").text

    assert part.strip() in watcher.get("/monitor").text
    assert "<html" not in part


def test_a_broker_that_is_away_is_said_to_be_and_hides_nothing_else(
    watcher: Browser, district: District, around: Neighbours
) -> None:
    let_happen(district)
    around.away.add("broker")
    page = watcher.get("/monitor").text

    assert "The broker does not answer." in page
    assert "Wait for it." in page
    assert cells(page, "Deliver")[1:4] == ["cannot be seen", "–", "1 s"]
    assert cells(page, "Relay")[1:3] == ["12", "9 s"]
    assert cells(page, "FCM")[2] == "1"


def test_a_sis_that_is_away_is_said_to_be_and_hides_nothing_else(
    watcher: Browser, around: Neighbours
) -> None:
    around.away.add("sis")
    page = watcher.get("/monitor").text

    assert "The SIS does not answer." in page
    assert cells(page, "Relay")[1] == "cannot be seen"
    assert cells(page, "Evaluate")[1] == "7"


def test_alarms_stand_on_the_page_with_what_to_do_until_they_are_mended(
    watcher: Browser, district: District, around: Neighbours
) -> None:
    around.queues = {queue: Depth(0, 0, 1) for queue in Queue}
    around.rows = 0
    assert "All is well" in watcher.get("/monitor").text
    district.app(alarms.report, "stage", "relay", "It met <trouble>.", "Mend it.", NOW)
    page = watcher.get("/monitor").text
    district.app(alarms.resolve, "stage", "relay")

    assert "It met &lt;trouble&gt;.</strong> Mend it." in page
    assert "All is well" not in page
    assert "All is well" in watcher.get("/monitor").text


def test_parked_changes_and_missing_triggers_are_to_be_mended(
    watcher: Browser, district: District, around: Neighbours
) -> None:
    district.evaluate(a_change("cafeteria", after={}))
    around.capture.append(Finding("score", "score", "missing", "nothing"))
    page = watcher.get("/monitor").text

    assert "1 change could not be decided." in page
    assert "Changes are not captured: score missing." in page


def test_a_page_that_renews_itself_keeps_no_session_alive(
    watcher: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    unattended = {"Schoolbell-Unattended": "yes"}
    for minutes in (30, 50):
        monkeypatch.setattr(
            Portal, "now", property(lambda _, at=minutes: LATER + timedelta(minutes=at))
        )
        assert watcher.get("/monitor/now", headers=unattended).status_code == 200
    monkeypatch.setattr(Portal, "now", property(lambda _: LATER + timedelta(minutes=61)))

    over = watcher.get("/monitor/now", headers=unattended)

    assert over.status_code == 401
    assert "<form" not in over.text
    assert watcher.get("/monitor").headers["location"] == "/sign-in?next=/monitor"


# Charts


def test_bars_are_as_high_as_their_values() -> None:
    assert Bars([0, 5, 10]).path == (
        f"M{WIDTH / 3:.1f} {HEIGHT}v-{HEIGHT / 2:.1f}h160.0V{HEIGHT}z"
        f"M{2 * WIDTH / 3:.1f} {HEIGHT}v-{HEIGHT:.1f}h160.0V{HEIGHT}z"
    )
    assert Bars([0, 0]).path == ""
    assert "v-2.0h" in Bars([1, 1000]).path, "one of a thousand is seen"


# Asking


def test_who_asks_does_not_wait_for_what_does_not_answer_and_it_is_asked_once() -> None:
    let_go, asked = threading.Event(), []

    def question() -> str:
        asked.append(1)
        let_go.wait(60)
        return "here"

    ask = Asked("The broker", question, fresh=60, patience=0.05)
    first, second = ask(), ask()
    let_go.set()
    while isinstance(found := ask(), Trouble):
        time.sleep(0.01)

    assert isinstance(first, Trouble)
    assert first == second
    assert "The broker has not answered for 0.05 seconds." in first.problem
    assert (found, len(asked)) == ("here", 1)


def test_an_answer_is_given_again_while_it_is_fresh() -> None:
    asked: list[int] = []
    fresh = Asked("It", lambda: asked.append(1), fresh=60, patience=60)
    stale = Asked("It", lambda: asked.append(1), fresh=0, patience=60)
    fresh(), fresh()
    assert len(asked) == 1
    stale(), stale()
    assert len(asked) == 3


def test_what_all_see_alike_is_read_once_while_it_is_fresh() -> None:
    readings = iter(range(10))
    shared = Shared(lambda: next(readings), fresh=3600.0)
    assert [shared(), shared()] == [0, 0]
    always = Shared(lambda: next(readings), fresh=0.0)
    assert [always(), always()] == [1, 2]


def test_an_error_of_a_reading_is_kept_for_nobody() -> None:
    answers: Iterator[Callable[[], int]] = iter([lambda: 1 // 0, lambda: 7])
    shared = Shared(lambda: next(answers)(), fresh=3600.0)
    with pytest.raises(ZeroDivisionError):
        shared()
    assert shared() == 7


def test_who_asks_while_it_is_read_waits_for_it_and_does_not_read_too() -> None:
    began, go, readings = threading.Event(), threading.Event(), []

    def read() -> int:
        began.set()
        assert go.wait(10)
        readings.append(1)
        return len(readings)

    shared = Shared(read, fresh=3600.0)
    with ThreadPoolExecutor(2) as people:
        first = people.submit(shared)
        assert began.wait(10)
        second = people.submit(shared)
        go.set()
        assert (first.result(10), second.result(10)) == (1, 1)
    assert readings == [1]


def test_an_unexpected_error_is_told_without_its_words() -> None:
    def question() -> None:
        raise RuntimeError("row of Ada Reyes")

    found = Asked("The SIS", question, fresh=0, patience=60)()

    assert isinstance(found, Trouble)
    assert found.problem == "The SIS gave an unexpected RuntimeError."


def test_a_watch_hangs_on_no_broker_that_never_answers(
    portal: Portal, around: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(around, "depths", lambda: let_go.wait(60))
    monkeypatch.setattr("engine.services.monitor._PATIENCE", 0.05)

    seen = Watch(portal.district).look(LATER)
    let_go.set()

    assert [one.problem for one in seen.troubles] == [
        "The broker has not answered for 0.05 seconds."
    ]
    assert seen.outbox is not None
