"""A test push to one's own device: it says so in the person's language, and once for each key."""

from __future__ import annotations

import pytest

from engine.errors import SchoolbellError, Unavailable
from engine.ports import Publisher
from engine.services import settings
from engine.services.families import devices, trying
from engine.services.families.logins import Visit
from engine.services.families.trying import TooMany
from engine.store.families import tables
from engine.store.tables import notifications
from engine.wire.messages import Pushes, Token, decode
from rules.audience import DeviceId
from rules.privacy import Level
from tests.builders import NOW, TODAY
from tests.district import FATHER, KEYRING, District
from tests.engine.services.families.people import by, later, signed_in, visit
from tests.fakes import FakePublisher

PHONE = Token("apns", "ab" * 32)


def hers(district: District) -> tuple[Visit, DeviceId]:
    found = visit(district, signed_in(district))
    assert found is not None
    return found, devices.register(district.database, KEYRING, found, PHONE, None, NOW)


def sent(
    district: District, who: Visit, which: DeviceId, key: str, publisher: Publisher,
    minutes: int = 0,
) -> int | TooMany:  # fmt: skip
    return trying.send(
        district.database, district.composer, lambda: publisher, who, which, key,
        later(minutes=minutes), TODAY,
    )  # fmt: skip


def test_it_goes_to_that_device_in_the_language_of_who_asks(district: District) -> None:
    who, which = hers(district)
    settings.set_privacy(district.database, by(), Level.FULL)
    publisher = FakePublisher()
    assert sent(district, who, which, "one", publisher) == 1
    [(_, body)] = publisher.published
    [push] = decode(body, Pushes).items
    assert push.device_id == which
    assert "Una prueba" in push.title + push.body


def test_the_same_key_sends_nothing_more_and_too_many_are_refused(district: District) -> None:
    who, which = hers(district)
    publisher = FakePublisher()
    assert [sent(district, who, which, "one", publisher) for _ in range(2)] == [1, 0]
    for number in range(trying.MOST - 1):
        assert sent(district, who, which, f"more {number}", publisher) == 1
    assert isinstance(sent(district, who, which, "too many", publisher), TooMany)
    assert sent(district, who, which, "one", publisher) == 0
    assert sent(district, who, which, "in an hour", publisher, minutes=61) == 1


def test_what_the_broker_does_not_take_has_not_been_asked(district: District) -> None:
    who, which = hers(district)

    publisher = FakePublisher(fails=Unavailable("The broker is away.", "Wait."))
    before = district.count(notifications)
    with pytest.raises(Unavailable):
        sent(district, who, which, "one", publisher)
    assert (district.count(tables.trials), district.count(notifications)) == (0, before)
    assert sent(district, who, which, "one", publisher) == 1


def test_the_device_of_another_gets_nothing(district: District) -> None:
    _, which = hers(district)
    his = visit(district, signed_in(district, FATHER, username="mark"))
    assert his is not None
    with pytest.raises(SchoolbellError, match="gets no push"):
        sent(district, his, which, "one", FakePublisher())


def test_nothing_is_sent_while_the_district_is_off(district: District) -> None:
    who, which = hers(district)
    settings.disable(district.database, by())
    with pytest.raises(SchoolbellError, match="switched off"):
        sent(district, who, which, "one", FakePublisher())
