"""Drafts: kept, changed by who read them last, and thrown away."""

from typing import Final

import pytest
from sqlalchemy import select

from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.broadcasts import drafts
from engine.services.broadcasts.drafts import Draft
from engine.services.broadcasts.refusals import ChangedMeanwhile, NotNow, NotThere
from engine.store import broadcasts
from engine.store.staff.tables import audit
from engine.store.tables import broadcasts as table
from rules.broadcasts import BroadcastId, BroadcastState
from rules.tool_rights import StaffId, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template
from tests.builders import NOW
from tests.district import District

ALICE: Final = Actor("Alice", NOW, StaffId(1))
BOB: Final = Actor("Bob", NOW, StaffId(2))
EN_ES: Final = {
    "en": Template("Snow", "No school today."),
    "es": Template("Nieve", "No hay clases"),
}
DRAFT: Final = Draft(Tool.FAMILIES, UnitKind.FAMILY, {"page": "families"}, EN_ES)


def test_a_draft_is_kept_as_it_was_written(district: District) -> None:
    name = drafts.new(district.database, ALICE, DRAFT)

    kept = drafts.one(district.database, name)

    assert Draft(kept.page, kept.unit, kept.selection, kept.texts, kept.is_emergency) == DRAFT
    assert list(kept.texts) == ["en", "es"]
    assert (kept.state, kept.version, kept.author) == (BroadcastState.DRAFT, 1, "Alice")


def test_who_read_an_older_version_overwrites_nothing(district: District) -> None:
    name = drafts.new(district.database, ALICE, DRAFT)
    newer = DRAFT._replace(texts={"en": Template("Snow", "School starts at 10.")})

    changed = drafts.change(district.database, BOB, name, 1, newer)

    assert (changed.version, changed.texts) == (2, newer.texts)
    with pytest.raises(ChangedMeanwhile):
        drafts.change(district.database, ALICE, name, 1, DRAFT)
    with pytest.raises(ChangedMeanwhile):
        drafts.remove(district.database, ALICE, name, 1)
    assert drafts.one(district.database, name).texts == newer.texts


@pytest.mark.parametrize("state", [BroadcastState.WAITING, BroadcastState.SCHEDULED])
def test_an_edit_of_what_waits_or_is_approved_voids_the_approval(
    district: District, state: BroadcastState
) -> None:
    name = drafts.new(district.database, ALICE, DRAFT)
    district.app(broadcasts.change, name, 1, NOW, state=state, approver="Bob", send_at=NOW)

    changed = drafts.change(district.database, ALICE, name, 2, DRAFT)

    assert (changed.state, changed.approver, changed.send_at) == (BroadcastState.DRAFT, None, None)


@pytest.mark.parametrize("state", [BroadcastState.SENDING, BroadcastState.SENT])
def test_what_is_sent_is_no_draft_any_more(district: District, state: BroadcastState) -> None:
    name = drafts.new(district.database, ALICE, DRAFT)
    district.app(broadcasts.change, name, 1, NOW, state=state)

    with pytest.raises(NotNow):
        drafts.change(district.database, ALICE, name, 2, DRAFT)
    with pytest.raises(NotNow):
        drafts.remove(district.database, ALICE, name, 2)


def test_a_draft_that_is_thrown_away_is_gone(district: District) -> None:
    name = drafts.new(district.database, ALICE, DRAFT)

    drafts.remove(district.database, ALICE, name, 1)

    with pytest.raises(NotThere):
        drafts.one(district.database, name)
    with pytest.raises(NotThere):
        drafts.change(district.database, ALICE, BroadcastId(name), 1, DRAFT)
    assert district.count(table) == 0


def test_everybody_finds_their_own_drafts_and_those_of_all(district: District) -> None:
    first = drafts.new(district.database, ALICE, DRAFT)
    second = drafts.new(district.database, BOB, DRAFT)

    assert [one.id for one in drafts.mine(district.database, BOB)] == [second]
    assert {one.id for one in drafts.every(district.database)} == {first, second}
    assert drafts.every(district.database, states=[BroadcastState.SENT]) == []


@pytest.mark.parametrize(
    "odd", [DRAFT._replace(unit=UnitKind.ENROLLMENT), DRAFT._replace(texts={})]
)
def test_what_a_page_does_not_offer_is_no_draft(district: District, odd: Draft) -> None:
    with pytest.raises(SchoolbellError):
        drafts.new(district.database, ALICE, odd)


def test_the_audit_log_tells_who_did_it_and_none_of_the_words(district: District) -> None:
    name = drafts.new(district.database, ALICE, DRAFT)
    drafts.change(district.database, BOB, name, 1, DRAFT._replace(is_emergency=True))
    drafts.remove(district.database, BOB, name, 2)

    acts = district.rows(select(audit.c.who, audit.c.act, audit.c.after).order_by(audit.c.id))

    assert [(who, act) for who, act, _ in acts] == [
        ("Alice", "broadcast.made"), ("Bob", "broadcast.edited"), ("Bob", "broadcast.removed"),
    ]  # fmt: skip
    assert "Snow" not in str(acts)
    assert acts[1][2]["emergency"] is True


def test_a_draft_that_has_a_name_is_kept_once(district: District) -> None:
    name = drafts.new_id(NOW)
    for _ in range(2):
        assert drafts.new(district.database, ALICE, DRAFT, name) == name
    other = DRAFT._replace(texts={"en": Template("Other", "words")})
    assert drafts.new(district.database, ALICE, other, name) == name
    assert drafts.one(district.database, name).texts == EN_ES
    with pytest.raises(NotThere):
        drafts.new(district.database, BOB, DRAFT, name)
    acts = district.rows(select(audit.c.act).where(audit.c.subject == name))
    assert [act for (act,) in acts] == ["broadcast.made"]
