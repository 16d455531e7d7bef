"""Writing SQL: a SELECT that grows its joins as columns of other tables are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Text, cast, literal_column
from sqlalchemy.engine.interfaces import Dialect

from engine.sources.draft.joins import Path
from engine.sources.draft.schema import Schema, Table
from engine.sources.unfilled import fill_in


class Sql:
    """Names and expressions in the words of one kind of database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def name(self, name: str) -> str:
        """A column or table, quoted where it must be."""
        return str(self._dialect.identifier_preparer.quote(name))

    def table(self, name: str) -> str:
        """A table with its schema."""
        return ".".join(map(self.name, name.split(".")))

    def text(self, expression: str) -> str:
        """The expression as text."""
        return self._compiled(cast(literal_column(expression), Text()))

    def joined(self, expressions: Sequence[str], between: str = "/") -> str:
        """One text of several expressions, with a text between them."""
        first, *rest = map(self.text, expressions)
        whole = self.concatenated(
            [first, *(part for one in rest for part in (_literal(between), one))]
        )
        if len(whole) <= _LONG:
            return whole
        separator = f" || {_literal(between)} || "
        return whole.replace(separator, f"\n        || {_literal(between)} || ")

    def concatenated(self, texts: Sequence[str]) -> str:
        """One text of several, which are expressions that give texts."""
        whole: ColumnElement[str] = literal_column(texts[0], Text())
        for one in texts[1:]:
            whole = whole + literal_column(one, Text())
        return self._compiled(whole)

    def prefixed(self, prefix: str, expression: str) -> str:
        """The expression as text, behind a prefix."""
        return self.concatenated([_literal(prefix), self.text(expression)])

    def is_text(self, expression: str) -> bool:
        """Whether it was made a text already."""
        return expression.startswith("CAST(")

    def _compiled(self, expression: object) -> str:
        compiled = expression.compile(  # type: ignore[attr-defined]
            dialect=self._dialect, compile_kwargs={"literal_binds": True}
        )
        return str(compiled).replace(" AS TEXT)", " AS text)")


_LONG: Final = 70  # letters of an expression in one line


@dataclass(slots=True)
class Select:
    """A query from *base*; *used* are the columns that it reads, by their tables."""

    sql: Sql
    schema: Schema
    base: Table
    used: dict[str, list[str]] = field(default_factory=dict)
    _aliases: dict[Path, str] = field(default_factory=dict)
    _needed: dict[Path, bool] = field(default_factory=dict)
    _items: list[str] = field(default_factory=list)
    _conditions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The base is joined to nothing."""
        self._aliases[()] = self.sql.name(self.base.base)

    def column(self, path: Path, name: str, *, needed: bool = False) -> str:
        """A column of the table at the end of *path*. *needed*: without it there is no row."""
        alias = self._joined(path, needed=needed)
        self._use(path[-1].parent if path else self.base.name, name)
        return f"{alias}.{self.sql.name(name)}"

    def key(self, path: Path, *, needed: bool = False) -> list[str]:
        """The key of the table at the end of *path*, without joining it where that can be."""
        if not path:
            return [self.column((), name) for name in self.base.key]
        last, key = path[-1], self.schema.table(path[-1].parent).key
        by_referred: Mapping[str, str] = dict(zip(last.referred, last.columns, strict=True))
        if set(key) <= set(by_referred):
            return [self.column(path[:-1], by_referred[name], needed=needed) for name in key]
        return [self.column(path, name, needed=needed) for name in key]

    def identity(self, path: Path, *, needed: bool = False) -> str:
        """The key as one value; a mark where the database knows of none."""
        found = self.key(path, needed=needed)
        if not found:
            table = path[-1].parent if path else self.base.name
            return fill_in(f"what identifies a row of {table}")
        return found[0] if len(found) == 1 else self.sql.joined(found)

    def add(self, expression: str, name: str) -> None:
        """A column of the answer."""
        plain = expression.rpartition(".")[2] == self.sql.name(name)
        item = expression if plain else f"{expression} AS {self.sql.name(name)}"
        if item not in self._items:
            self._items.append(item)

    def keep(self, condition: str) -> None:
        """A condition that every row of the answer meets."""
        if condition not in self._conditions:
            self._conditions.append(condition)

    def written(self) -> str:
        """The whole query."""
        items = ",\n".join(f"    {item}" for item in self._items)
        joins = [self._join(path) for path in self._aliases if path]
        whence = f"FROM {self.sql.table(self.base.name)}"
        where = [f"WHERE {' AND '.join(self._conditions)}"] if self._conditions else []
        return "\n".join(["SELECT", items, whence, *joins, *where])

    def _joined(self, path: Path, *, needed: bool) -> str:
        for length in range(1, len(path) + 1):
            part = path[:length]
            self._needed[part] = self._needed.get(part, False) or needed
            if part not in self._aliases:
                for column in part[-1].columns:
                    self._use(part[-1].child, column)
                self._aliases[part] = self._free(self.sql.name(part[-1].parent.rpartition(".")[2]))
        return self._aliases[path]

    def _free(self, name: str) -> str:
        taken, number, found = set(self._aliases.values()), 1, name
        while found in taken:
            number += 1
            found = f"{name[:-1]}_{number}{name[-1]}" if name[-1] in '"`' else f"{name}_{number}"
        return found

    def _join(self, path: Path) -> str:
        edge, alias = path[-1], self._aliases[path]
        before = self._aliases[path[:-1]]
        table = self.sql.table(edge.parent)
        named = "" if alias == table.rpartition(".")[2] else f" {alias}"
        how = "JOIN" if self._needed[path] else "LEFT JOIN"
        on = "\n    AND ".join(
            f"{alias}.{self.sql.name(theirs)} = {before}.{self.sql.name(ours)}"
            for ours, theirs in zip(edge.columns, edge.referred, strict=True)
        )
        return f"{how} {table}{named} ON {on}"

    def _use(self, table: str, column: str) -> None:
        used = self.used.setdefault(table, [])
        if column not in used:
            used.append(column)


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
