"""Templates: what staff keep to write again, each for one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.broadcasts.writing import Texts, require_faultless
from engine.store.staff import templates
from engine.store.staff.audit import State
from engine.store.staff.templates import Kept as Kept  # the answer of every
from engine.store.staff.templates import KeptId as KeptId
from rules.tool_rights import Tool
from rules.wording.broadcasts import UNITS, allowed

_LONGEST_NAME: Final = 100


def every(database: Database, page: Tool | None = None) -> Sequence[Kept]:
    """All templates, or those made for one *page*, by page and name."""
    with database.read() as connection:
        return templates.every(connection, page)


def one(database: Database, which: KeptId) -> Kept:
    """One template; raises SchoolbellError where there is none."""
    with database.read() as connection:
        return _required(connection, which)


def add(database: Database, by: Actor, page: Tool, name: str, texts: Texts) -> KeptId:
    """Keep a new template for *page*.

    Raises Refused, with every fault, for texts that cannot be sent from there, and SchoolbellError
    for a name that is taken or none, or where nobody writes from that page.
    """
    name = _checked(page, name, texts)
    with database.write() as connection:
        _require_free(connection, page, name)
        made = templates.add(connection, page, name, texts, by.at, by.name)
        by.did(connection, "template.added", name, None, _known(page, name, texts))
    return made


def change(
    database: Database, by: Actor, which: KeptId, version: int, name: str, texts: Texts
) -> None:
    """Give a template another name and other texts; raises as `add` does.

    Also where somebody else has changed it since it was of this *version*: nothing of theirs is
    lost unseen.
    """
    was = one(database, which)
    name = _checked(was.page, name, texts)
    with database.write() as connection:
        was = _required(connection, which)
        _require_free(connection, was.page, name, but=which)
        if not templates.change(connection, which, version, name, texts, by.at, by.name):
            raise SchoolbellError(
                "Somebody else has changed this template meanwhile.",
                "Open it in another window, and put what is yours into it there.",
            )
        before, after = (
            _known(was.page, was.name, was.texts), _known(was.page, name, texts),
        )  # fmt: skip
        by.did(connection, "template.changed", name, before, after)


def remove(database: Database, by: Actor, which: KeptId) -> None:
    """Take a template away; what was sent with it stays. Once it is gone, nothing happens."""
    with database.write() as connection:
        was = templates.one(connection, which)
        if was is not None:
            templates.remove(connection, which)
            by.did(
                connection, "template.removed", was.name,
                _known(was.page, was.name, was.texts), None,
            )  # fmt: skip


def _checked(page: Tool, name: str, texts: Texts) -> str:
    if page not in UNITS:
        raise SchoolbellError(
            "Nobody writes to families from such a page.", "Choose one of the pages."
        )
    require_faultless(texts, allowed(page))
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME:
        raise SchoolbellError(
            "This can be no name of a template.",
            "Write 1 to %(most)s characters.",
            most=_LONGEST_NAME,
        )
    return name


def _require_free(connection: Connection, page: Tool, name: str, but: KeptId | None = None) -> None:
    if templates.named(connection, page, name) not in (None, but):
        raise SchoolbellError(
            "There is a template of this name for this page already.", "Choose another name."
        )


def _required(connection: Connection, which: KeptId) -> Kept:
    found = templates.one(connection, which)
    if found is None:
        raise SchoolbellError("There is no such template.", "It may have been taken away.")
    return found


def _known(page: Tool, name: str, texts: Texts) -> State:
    """What the audit log says of it: not the words, which may name a pupil."""
    return {"page": page, "name": name, "languages": list(texts)}
