"""Broadcasts are forgotten: the words first, and who was told of them long after."""

from datetime import timedelta

import pytest

from engine.services.broadcasts import drafts, following
from engine.services.broadcasts.refusals import NotThere
from engine.store import housekeeping
from engine.store.tables import (
    broadcast_devices,
    broadcast_reached,
    broadcast_recipients,
    broadcast_texts,
    notifications,
)
from rules.tool_rights import EVERYWHERE
from tests.broadcasting import Office
from tests.builders import NOW
from tests.district import MOTHER, District


def forget(office: Office, days: int) -> None:
    housekeeping.forget(
        office.database, NOW + timedelta(days=days), timedelta(days=30), timedelta(days=400)
    )


def test_words_go_first_and_who_was_told_stays(district: District) -> None:
    office = Office(district)
    name = office.send()
    office.tell()
    draft = office.write()

    forget(office, 29)
    assert drafts.one(office.database, name).texts
    forget(office, 31)

    assert drafts.one(office.database, name).texts == {}
    assert drafts.one(office.database, draft).texts
    assert district.count(broadcast_texts) == district.count(notifications) == 0
    found = {one.person: one for one in following.became(office.database, name, EVERYWHERE)}
    assert found[MOTHER].reason == "TOLD"


def test_in_the_end_all_of_it_is_gone(district: District) -> None:
    office = Office(district)
    name = office.send()
    office.tell()

    assert district.count(broadcast_reached) == 8

    forget(office, 401)

    assert district.count(broadcast_reached) == 0
    assert district.count(broadcast_recipients) == district.count(broadcast_devices) == 0
    with pytest.raises(NotThere):
        drafts.one(office.database, name)
