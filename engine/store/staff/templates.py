"""Templates of broadcasts: a title and a message that staff keep for one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, NewType

from sqlalchemy import Connection, delete, select, update

from engine.store.staff.tables import broadcast_templates
from rules.tool_rights import Tool
from rules.wording.templates import Template

KeptId = NewType("KeptId", int)


class Kept(NamedTuple):
    """A template as it is kept, with who changed it last."""

    id: KeptId
    page: Tool
    name: str
    texts: Mapping[str, Template]
    version: int
    changed_at: datetime
    changed_by: str


def every(connection: Connection, page: Tool | None = None) -> Sequence[Kept]:
    """All templates, or those of one page, by page and name."""
    query = select(broadcast_templates)
    if page is not None:
        query = query.where(broadcast_templates.c.page == page)
    ordered = query.order_by(broadcast_templates.c.page, broadcast_templates.c.name)
    return [_kept(row) for row in connection.execute(ordered)]


def one(connection: Connection, which: KeptId) -> Kept | None:
    """A template; None where there is none."""
    query = select(broadcast_templates).where(broadcast_templates.c.id == which)
    row = connection.execute(query).one_or_none()
    return _kept(row) if row else None


def named(connection: Connection, page: Tool, name: str) -> KeptId | None:
    """The template of this name; None where the name is free."""
    query = select(broadcast_templates.c.id).where(
        broadcast_templates.c.page == page, broadcast_templates.c.name == name
    )
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else KeptId(found)


def add(
    connection: Connection,
    page: Tool,
    name: str,
    texts: Mapping[str, Template],
    at: datetime,
    by: str,
) -> KeptId:
    """Keep a new template."""
    made = connection.execute(
        broadcast_templates.insert().values(
            page=page, name=name, texts=_json(texts), version=1, changed_at=at, changed_by=by
        )
    )
    return KeptId(made.inserted_primary_key[0])  # type: ignore[index]


def change(
    connection: Connection,
    which: KeptId,
    version: int,
    name: str,
    texts: Mapping[str, Template],
    at: datetime,
    by: str,
) -> bool:
    """Keep another name and other texts; False where it is of another *version* by now."""
    changed = connection.execute(
        update(broadcast_templates)
        .where(broadcast_templates.c.id == which, broadcast_templates.c.version == version)
        .values(name=name, texts=_json(texts), version=version + 1, changed_at=at, changed_by=by)
    )
    return changed.rowcount == 1


def remove(connection: Connection, which: KeptId) -> None:
    """Take a template away."""
    connection.execute(delete(broadcast_templates).where(broadcast_templates.c.id == which))


def _json(texts: Mapping[str, Template]) -> Any:
    """A list, because what a database keeps as JSON may lose the order of names."""
    return [[language, *text] for language, text in texts.items()]


def _kept(row: Any) -> Kept:
    return Kept(
        KeptId(row.id), Tool(row.page), row.name,
        {language: Template(*halves) for language, *halves in row.texts},
        row.version, row.changed_at, row.changed_by,
    )  # fmt: skip
