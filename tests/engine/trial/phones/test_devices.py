"""Screens and the ledger: what replaces what, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from engine.trial.phones.devices import Devices, Push, Received
from tests.engine.trial.phones.support import IPHONE, PHONE, Clock


@pytest.fixture
def devices(clock: Clock) -> Devices:
    return Devices(clock)


def a_push(**changes: object) -> Push:
    fields: dict[str, object] = {
        "kind": "fcm",
        "token": PHONE,
        "key": "quiz-4",
        "title": "Quiz 4",
        "body": "Ada scored 92.",
        "data": {},
    }
    return Push(**(fields | changes))


def shown(devices: Devices) -> list[str]:
    return [received.body for screen in devices.screens() for received in screen.shown]


def test_a_later_push_with_the_same_key_replaces_the_shown_one(devices: Devices) -> None:
    devices.accept(a_push(body="Ada scored 92."), "1")
    devices.accept(a_push(body="Ada scored 95."), "2")
    assert shown(devices) == ["Ada scored 95."]
    assert (devices.counts().replaced, devices.counts().repeated) == (1, 0)


def test_a_push_without_a_key_stacks(devices: Devices) -> None:
    devices.accept(a_push(key=None, body="one"), "1")
    devices.accept(a_push(key=None, body="two"), "2")
    assert shown(devices) == ["one", "two"]
    assert devices.counts().stacked == 2


def test_the_same_push_once_more_is_shown_once_and_counted_as_repeated(devices: Devices) -> None:
    devices.accept(a_push(), "1")
    devices.accept(a_push(), "2")
    assert shown(devices) == ["Ada scored 92."]
    assert devices.counts().repeated == 1


def test_a_replaced_notification_becomes_the_newest_on_the_screen(devices: Devices) -> None:
    for key in ("a", "b", "a"):
        devices.accept(a_push(key=key, body=key), key)
    assert shown(devices) == ["b", "a"]


def test_the_same_key_on_another_phone_replaces_nothing(devices: Devices) -> None:
    devices.accept(a_push(), "1")
    devices.accept(a_push(token=PHONE + "2"), "2")
    assert devices.counts().shown == 2


def test_a_silent_push_is_in_the_ledger_and_on_no_screen(devices: Devices) -> None:
    devices.accept(a_push(visible=False), "1")
    assert shown(devices) == []
    assert devices.counts().silent == 1
    assert [received.message_id for received in devices.received().received] == ["1"]


def test_a_message_to_a_topic_makes_no_phone(devices: Devices) -> None:
    devices.accept(a_push(token="/topics/all", to_phone=False), "1")
    assert devices.counts().phones == 0
    assert devices.received().received[0].token == "/topics/all"


def test_every_accepted_push_is_replaced_stacked_or_silent(devices: Devices) -> None:
    for key, visible in (("a", True), ("a", True), (None, True), ("a", False), ("b", True)):
        devices.accept(a_push(key=key, visible=visible), "id")
    counts = devices.counts()
    assert counts.replaced + counts.stacked + counts.silent == counts.fcm + counts.apns == 5
    assert counts.shown == len(shown(devices)) == 3


def test_uninstalling_empties_the_screen_and_says_when(devices: Devices, clock: Clock) -> None:
    devices.accept(a_push(), "1")
    devices.uninstall("fcm", PHONE)
    [screen] = devices.screens()
    assert (screen.uninstalled_at, screen.shown) == (clock.time, ())
    assert devices.counts().shown == 0


def test_registering_again_brings_an_uninstalled_phone_back(devices: Devices) -> None:
    devices.uninstall("fcm", PHONE)
    devices.register("fcm", PHONE)
    phone = devices.find("fcm", PHONE)
    assert phone is not None
    assert phone.uninstalled_at is None


def test_an_apns_token_is_the_same_phone_in_capitals(devices: Devices) -> None:
    devices.register("apns", IPHONE.upper())
    devices.accept(a_push(kind="apns", token=IPHONE), "1")
    assert devices.counts().phones == 1


def test_an_fcm_token_in_capitals_is_another_phone(devices: Devices) -> None:
    devices.register("fcm", PHONE)
    assert devices.find("fcm", PHONE.upper()) is None


def test_the_ledger_is_paged_by_number_in_the_order_received(devices: Devices) -> None:
    for number in range(5):
        devices.accept(a_push(body=str(number)), str(number))
    first = devices.received(after=0, limit=3)
    second = devices.received(after=first.received[-1].number, limit=3)
    assert [received.body for received in first.received] == ["0", "1", "2"]
    assert [received.body for received in second.received] == ["3", "4"]
    assert devices.received(after=5).received == []


def test_a_ledger_that_is_full_drops_the_oldest_and_says_so(clock: Clock) -> None:
    devices = Devices(clock, remembered=10)
    for number in range(1, 101):
        devices.accept(a_push(), str(number))
    page = devices.received(after=0)
    assert page.last == 100
    assert page.oldest > 1
    assert [received.number for received in page.received] == list(range(page.oldest, 101))
    assert 10 <= len(page.received) <= 11
    assert devices.counts().fcm == 100


def test_the_phones_that_rang_last_come_first(devices: Devices) -> None:
    for phone in ("first", "second", "third", "first"):
        devices.accept(a_push(token=phone), phone)
    assert [screen.token for screen in devices.latest(2, newest=1)] == ["first", "third"]


def test_the_latest_screens_hold_only_the_newest_and_say_how_many_there_are(
    devices: Devices,
) -> None:
    for number in range(5):
        devices.accept(a_push(key=None, body=str(number)), str(number))
    [screen] = devices.latest(1, newest=2)
    assert [received.body for received in screen.shown] == ["3", "4"]
    assert screen.on_screen == 5


def test_screens_are_paged_in_the_order_of_their_first_mention(devices: Devices) -> None:
    for phone in ("first", "second", "third"):
        devices.accept(a_push(token=phone), phone)
    assert [screen.token for screen in devices.screens(after=1, limit=1)] == ["second"]


def test_a_reset_forgets_phones_sends_and_counts(devices: Devices) -> None:
    devices.accept(a_push(), "1")
    devices.reset()
    assert devices.screens() == []
    assert devices.received().last == 0
    assert devices.counts().shown == 0


def test_a_listener_hears_of_each_push_in_order(clock: Clock) -> None:
    heard: list[Received] = []
    hear: Callable[[Received], None] = heard.append
    devices = Devices(clock, on_push=hear)
    devices.accept(a_push(), "first")
    devices.accept(a_push(), "second")
    assert [(received.number, received.message_id) for received in heard] == [
        (1, "first"),
        (2, "second"),
    ]


def test_a_token_never_shows_in_a_log_line(devices: Devices) -> None:
    push = a_push()
    received = devices.accept(push, "1")
    shown_as = repr([push, received, devices.screens(), devices.find("fcm", PHONE)])
    assert PHONE not in shown_as


# --- phones that are offline ----------------------------------------------------------------


def an_iphone_push(body: str, **changes: object) -> Push:
    return a_push(kind="apns", token=IPHONE, key=body, body=body, **changes)


def accounted(devices: Devices) -> int:
    counts = devices.counts()
    return counts.replaced + counts.stacked + counts.silent + counts.kept + counts.dropped


def test_for_an_iphone_that_is_offline_the_newest_push_alone_is_kept(devices: Devices) -> None:
    devices.accept(an_iphone_push("before"), "0")
    devices.go_offline("apns", IPHONE.upper())
    for body in ("one", "two", "three"):
        devices.accept(an_iphone_push(body), body)
    [screen] = devices.screens()
    assert ([shown.body for shown in screen.shown], screen.kept) == (["before"], 1)
    assert not screen.is_online
    devices.come_online("apns", IPHONE)
    assert shown(devices) == ["before", "three"]
    assert (devices.counts().kept, devices.counts().dropped) == (0, 2)
    assert accounted(devices) == devices.counts().apns == 4


def test_for_an_android_phone_that_is_offline_a_hundred_are_kept_and_one_more_drops_them(
    devices: Devices,
) -> None:
    devices.go_offline("fcm", PHONE)
    for number in range(100):
        devices.accept(a_push(key=None, body=str(number)), str(number))
    assert devices.counts().kept == 100
    devices.accept(a_push(key=None, body="100"), "100")
    assert (devices.counts().kept, devices.counts().dropped) == (1, 100)
    devices.come_online("fcm", PHONE)
    assert shown(devices) == ["100"]
    assert accounted(devices) == 101


def test_what_was_kept_is_shown_as_if_it_came_now(devices: Devices) -> None:
    devices.accept(a_push(body="92"), "1")
    devices.go_offline("fcm", PHONE)
    devices.accept(a_push(body="95"), "2")
    devices.accept(a_push(key="other", body="seen"), "3")
    assert shown(devices) == ["92"]
    devices.come_online("fcm", PHONE)
    assert shown(devices) == ["95", "seen"]
    assert devices.counts().replaced == 1


def test_a_push_that_expires_while_it_is_kept_is_not_shown(devices: Devices, clock: Clock) -> None:
    devices.go_offline("fcm", PHONE)
    in_a_minute = clock() + timedelta(minutes=1)
    devices.accept(a_push(key="a", body="short", expires_at=in_a_minute), "1")
    devices.accept(a_push(key="b", body="long"), "2")
    devices.accept(a_push(key="c", body="now or never", expires_at=clock()), "3")
    assert devices.counts().kept == 2
    clock.go(minutes=1)
    devices.come_online("fcm", PHONE)
    assert shown(devices) == ["long"]
    assert accounted(devices) == 3


def test_with_the_app_goes_what_was_kept_for_it(devices: Devices) -> None:
    devices.go_offline("fcm", PHONE)
    devices.accept(a_push(), "1")
    devices.uninstall("fcm", PHONE)
    devices.register("fcm", PHONE)
    devices.come_online("fcm", PHONE)
    assert shown(devices) == []
    assert (devices.counts().kept, devices.counts().dropped) == (0, 1)
