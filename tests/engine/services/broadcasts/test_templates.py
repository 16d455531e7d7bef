"""Templates of broadcasts: kept for one page, refused where something is wrong with them."""

from __future__ import annotations

import pytest

from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.broadcasts import templates, writing
from engine.services.broadcasts.templates import KeptId
from engine.services.broadcasts.writing import Refused, typed
from engine.services.staff import auditing
from rules.tool_rights import Tool
from rules.wording import Template
from rules.wording.broadcasts import Problem
from tests.builders import NOW
from tests.district import District
from tests.exporting import exported

ANNA, BEN = Actor("Anna", NOW), Actor("Ben", NOW)
BUS = typed({
    "title-en": "Bus of {{ school_name }}", "message-en": "Dear {{ family_name }},\r\nit is late.",
    "title-es": "Autobús", "message-es": "Llega tarde.",
})  # fmt: skip


def add(district: District, name: str = "Late bus", page: Tool = Tool.FAMILIES) -> KeptId:
    return templates.add(district.database, ANNA, page, name, BUS)


def test_a_template_is_kept_for_its_page(district: District) -> None:
    made = add(district, "  Late   bus ")
    add(district, page=Tool.CLASSES)
    (kept,) = templates.every(district.database, Tool.FAMILIES)
    assert kept == templates.one(district.database, made)
    assert (kept.name, kept.page, kept.changed_by, kept.changed_at) == (
        "Late bus", Tool.FAMILIES, "Anna", NOW,
    )  # fmt: skip
    assert dict(kept.texts) == dict(BUS)
    assert kept.texts["en"].body == "Dear {{ family_name }},\nit is late."
    assert [one.page for one in templates.every(district.database)] == ["classes", "families"]


def test_the_language_that_stands_in_for_others_stays_the_first(district: District) -> None:
    texts = {"es": Template("Hola", "x"), "en": Template("Hello", "x")}
    made = templates.add(district.database, ANNA, Tool.FAMILIES, "x", texts)
    assert list(templates.one(district.database, made).texts) == ["es", "en"]


def test_what_cannot_be_sent_is_refused_with_every_fault(district: District) -> None:
    texts = typed({"title-en": "{{ camp_name }}", "message-en": "a\n{{ famly }}", "title-es": "x"})
    with pytest.raises(Refused) as refused:
        templates.add(district.database, ANNA, Tool.FAMILIES, "x", texts)
    assert [(one.field, one.line, one.problem) for one in refused.value.faults] == [
        ("title-en", 1, Problem.NOT_HERE), ("message-en", 2, Problem.UNKNOWN),
        ("message-es", 1, Problem.BLANK),
    ]  # fmt: skip
    assert refused.value.problem.startswith("title-en, line 1: ")
    assert templates.every(district.database) == []


@pytest.mark.parametrize("name", ["", " \n", "x" * 101])
def test_a_template_has_a_name(district: District, name: str) -> None:
    with pytest.raises(SchoolbellError, match="no name of a template"):
        add(district, name)


def test_a_name_is_taken_once_for_each_page(district: District) -> None:
    made = add(district)
    with pytest.raises(SchoolbellError, match="of this name for this page"):
        add(district)
    other = add(district, "Snow")
    with pytest.raises(SchoolbellError, match="of this name for this page"):
        templates.change(district.database, ANNA, other, 1, "Late bus", BUS)
    templates.change(district.database, ANNA, made, 1, "Late bus", BUS)


def test_nobody_writes_from_another_page(district: District) -> None:
    with pytest.raises(SchoolbellError, match="Nobody writes to families"):
        add(district, page=Tool.AUDIT)


def test_nothing_of_another_is_lost_unseen(district: District) -> None:
    made = add(district)
    templates.change(district.database, BEN, made, 1, "Late bus", typed({
        "title-en": "Ben's", "message-en": "x",
    }))  # fmt: skip
    with pytest.raises(SchoolbellError, match="Somebody else has changed this template"):
        templates.change(district.database, ANNA, made, 1, "Late bus", BUS)
    kept = templates.one(district.database, made)
    assert (kept.texts["en"].title, kept.version, kept.changed_by) == ("Ben's", 2, "Ben")


def test_a_template_is_taken_away_once(district: District) -> None:
    made = add(district)
    templates.remove(district.database, ANNA, made)
    templates.remove(district.database, ANNA, made)
    with pytest.raises(SchoolbellError, match="no such template"):
        templates.one(district.database, made)
    with pytest.raises(SchoolbellError, match="no such template"):
        templates.change(district.database, ANNA, made, 1, "x", BUS)


def test_the_audit_log_names_templates_and_keeps_no_words(district: District) -> None:
    made = add(district)
    templates.change(district.database, BEN, made, 1, "Bus", BUS)
    templates.remove(district.database, ANNA, made)
    entries = auditing.newest(district.database)[:3]
    assert [(one.who, one.act, one.subject) for one in entries] == [
        ("Anna", "template.removed", "Bus"), ("Ben", "template.changed", "Bus"),
        ("Anna", "template.added", "Late bus"),
    ]  # fmt: skip
    assert entries[0].before == {"page": "families", "name": "Bus", "languages": ["en", "es"]}
    assert "Llega" not in exported(district.database)


def test_what_nobody_typed_is_no_language() -> None:
    assert list(typed({"title-en": " ", "title-es": "Hola"})) == ["es"]
    assert typed({}) == {"en": Template("", "")}


def test_a_length_is_what_people_see_and_what_a_gateway_counts() -> None:
    family = "👨\u200d👩\u200d👧"
    found = writing.length("Ñ", f'"{family}"\n')
    assert (found.title, found.message) == (1, 4)
    assert found.bytes == 2 + 2 * 2 + 18 + 2
    assert 3_600 < found.room < 3_700, "a browser is given least"
    assert not found.is_cut
    assert writing.length("x", "é" * 2_000).is_cut
