"""The part of a draft about records: watches, facts and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.sources.draft.draft import Draft, comment, listed, one_or_list, query, text, why
from engine.sources.draft.hints import done_elsewhere, hints
from engine.sources.draft.joins import Path
from engine.sources.draft.roles import column_of
from engine.sources.draft.schema import Column, Sort, Table
from engine.sources.draft.select import Select
from engine.sources.unfilled import fill_in
from rules.change import Kind

_SHOWN_AT_ONCE: Final = frozenset(
    {Kind.ATTENDANCE, Kind.MEAL_BALANCE, Kind.RESPONSIVE_SCHEDULE}
)  # kinds that a SIS rarely holds back
_ATTENDANCE: Final = "present, absent, absent_excused, tardy, tardy_excused, left_early"
_OUR_WORDS: Final = frozenset({"present", "absent", "tardy", "left_early"})
_EXCUSED: Final = frozenset({"excused", "exempt", "e", "y", "yes", "true", "t", "1", "x"})


def watches(draft: Draft) -> Iterator[list[str]]:
    """Every watch that can be written, with its facts and labels; a comment where none can."""
    yield from _of_scores(draft)
    yield from _of_grades(draft)
    yield from done_elsewhere(draft)
    yield from _of_attendance(draft)
    yield from _of_meals(draft)
    yield from _of_sessions(draft)


def _of_scores(draft: Draft) -> Iterator[list[str]]:
    yield why(draft, "score")
    table = draft.table("score")
    value = column_of(table, "score") if table else None
    if table is None or value is None:
        return
    release = _release(draft, table, ("assignment",))
    yield _watch(
        draft, table, "score", Kind.ASSIGNMENT, "assignment", value=[value], released_by=release
    )
    yield from _release_watch(draft, release, Kind.ASSIGNMENT, "assignment")
    select = _facts(draft, table, Kind.ASSIGNMENT, release)
    yield from _apart(draft, select, table, "scores of assignments", "grade", "grades")
    select.add(select.column((), value.name), "value")
    assignment = draft.path(table, "assignment")
    if assignment:
        of = draft.schema.table(assignment[-1].parent)
        if out_of := column_of(of, "out_of"):
            select.add(select.column(assignment, out_of.name, needed=True), "out_of")
        if title := column_of(of, "title"):
            select.add(select.column(assignment, title.name, needed=True), "title")
        _by_other_key(select, release, assignment)
    _course_and_term(draft, select, table)
    yield ["[facts.assignment]", *_said_of_values(value), *query(select.written())]


def _of_grades(draft: Draft) -> Iterator[list[str]]:
    yield why(draft, "grade")
    table = draft.table("grade")
    if table is None:
        return
    percent = column_of(table, "percent")
    letter = column_of(table, "letter", [percent.name] if percent else [])
    value = percent or letter
    if value is None:
        yield comment("No column of it looks like a percentage or a letter.")
        return
    release = _release(draft, table, ("section", "term"))
    yield _watch(
        draft, table, "grade", Kind.GRADE, "grade", value=[value],
        text_column=letter if percent else None, released_by=release,
    )  # fmt: skip
    yield from _release_watch(draft, release, Kind.GRADE, "grade")
    select = _facts(draft, table, Kind.GRADE, release)
    yield from _apart(draft, select, table, "grades", "score", "scores of assignments")
    select.add(select.column((), value.name), "value")
    if release and release.path:
        _by_other_key(select, release, release.path)
    _course_and_term(draft, select, table)
    yield ["[facts.grade]", *_said_of_values(value), *query(select.written())]


def _apart(
    draft: Draft, select: Select, table: Table, these: str, role: str, others: str
) -> Iterator[list[str]]:
    """Ask which rows are meant, where one table was taken for two roles: else each rings twice."""
    if draft.table(role) is table:
        select.keep(fill_in(f"which rows of {table.name} are {these}, and not {others}"))
        yield comment(
            f"{table.name} was also taken for {others}. Where all of its rows are {these}, write"
            f" TRUE as the condition, and leave out what is written below of {others}."
        )


def _of_attendance(draft: Draft) -> Iterator[list[str]]:
    yield why(draft, "attendance")
    table = draft.table("attendance")
    code = column_of(table, "code") if table else None
    if table is None or code is None:
        return
    codes = next(
        (draft.schema.table(one.parent) for one in draft.joins.from_(table.name)
         if one.columns == (code.name,)), None,
    )  # fmt: skip
    yield _watch(
        draft, table, "attendance", Kind.ATTENDANCE, "attendance", value=[code],
        labels="attendance_code" if codes else "",
    )  # fmt: skip
    select = _facts(draft, table, Kind.ATTENDANCE, None)
    select.add(select.column((), code.name), "value")
    _course_and_term(draft, select, table, term=False)
    for meaning in ("period", "date"):
        if (found := column_of(table, meaning)) and found is not code:
            select.add(draft.sql.text(select.column((), found.name)), meaning)
    yield ["[facts.attendance]", *query(select.written())]
    if codes:
        yield _attendance_labels(draft, codes)


def _of_meals(draft: Draft) -> Iterator[list[str]]:
    yield why(draft, "meal")
    table = draft.table("meal")
    balance = column_of(table, "balance") if table else None
    if table is None or balance is None:
        return
    yield _watch(draft, table, "meal-account", Kind.MEAL_BALANCE, "meal_balance", value=[balance])
    base, path = _whose(draft, table)
    select = _facts(draft, base, Kind.MEAL_BALANCE, None, path)
    select.add(select.column(path, balance.name, needed=True), "value")
    yield ["[facts.meal_balance]", *query(select.written())]


def _of_sessions(draft: Draft) -> Iterator[list[str]]:
    yield why(draft, "session")
    session, placement = draft.table("session"), draft.table("placement")
    if session is None:
        return
    yield why(draft, "placement")
    if placement is None:
        return
    edge = draft.joins.between(placement.name, session.name)
    if edge is None:
        return
    link = placement.by_name[edge.columns[0]]
    title = column_of(session, "title")
    yield _watch(
        draft, placement, "placement", Kind.RESPONSIVE_SCHEDULE, "placement", value=[link],
        labels="session" if title else "",
    )  # fmt: skip
    yield _placement_facts(draft, placement, (edge,), "placement", (), [link])
    shown = [
        one for meaning in ("date", "starts_at", "room") if (one := column_of(session, meaning))
    ]
    yield _watch(
        draft, session, "session", Kind.RESPONSIVE_SCHEDULE, "session",
        value=list(dict.fromkeys(shown)),
    )  # fmt: skip
    yield _placement_facts(draft, placement, (edge,), "session", (edge,), shown)
    if title:
        labels = draft.select(session)
        labels.add(labels.column((), edge.referred[0]), "value")
        labels.add(labels.column((), title.name), "label")
        yield ["[labels.session]", *query(labels.written())]


def _placement_facts(
    draft: Draft, placement: Table, to_session: Path, name: str, of: Path, shown: Sequence[Column]
) -> list[str]:
    """Two watches that tell of placements: what differs is the record and the value."""
    session = draft.schema.table(to_session[-1].parent)
    select = _facts(draft, placement, Kind.RESPONSIVE_SCHEDULE, None, of, record=f"{name} ")
    path = of or ()
    parts = [select.column(path, one.name, needed=True) for one in shown]
    value = parts[0] if len(parts) == 1 else draft.sql.joined(parts, ", ")
    select.add(value, "value")
    for meaning, called in (("title", "title"), ("date", "day")):
        if found := column_of(session, meaning):
            column = select.column(to_session, found.name, needed=True)
            select.add(column if called == "title" else draft.sql.text(column), called)
    return [f"[facts.{name}]", *query(select.written())]


@dataclass(frozen=True, slots=True)
class _Release:
    """What says that families may see a record: a flag or a day, in the record or beside it."""

    path: Path
    table: Table
    flag: Column | None
    day: Column | None


def _release(draft: Draft, table: Table, beside: Sequence[str]) -> _Release | None:
    paths: list[Path] = [()]
    paths += [path for role in beside if (path := draft.path(table, role))]
    for path in paths:
        where = draft.schema.table(path[-1].parent) if path else table
        flag, day = column_of(where, "released"), column_of(where, "released_on")
        if flag or day:
            return _Release(path, where, flag, day)
    return None


def _release_watch(
    draft: Draft, release: _Release | None, kind: Kind, facts: str
) -> Iterator[list[str]]:
    """The watch of a flag that stands in another table than the records that it releases."""
    if release is None or not release.path or release.flag is None:
        return
    table, flag = release.table, release.flag
    yield [
        *comment(f"{table.name}.{flag.name} looks like the release of many records at once."),
        "[[watch]]", f'name = "{facts}-release"', f'kind = "{kind}"',
        f"table = {text(table.name)}", _key(draft, table), f"columns = {listed([flag.name])}",
        f"becomes = {text(flag.name)}", f'facts = "{facts}"', f"by = {one_or_list(table.key)}",
    ]  # fmt: skip


def _by_other_key(select: Select, release: _Release | None, path: Path) -> None:
    """The key of the table whose flag releases, for its watch to find these facts."""
    if release is not None and release.flag is not None and release.path:
        for name, column in zip(release.table.key, select.key(path, needed=True), strict=True):
            select.add(column, name)


def _watch(
    draft: Draft, table: Table, name: str, kind: Kind, facts: str, *, value: Sequence[Column],
    text_column: Column | None = None, labels: str = "", released_by: _Release | None = None,
) -> list[str]:  # fmt: skip
    own = released_by.flag if released_by and not released_by.path else None
    columns = [*value, *(one for one in (text_column, own) if one)]
    names = list(dict.fromkeys(one.name for one in columns))
    lines = [
        "[[watch]]", f'name = "{name}"', f'kind = "{kind}"', f"table = {text(table.name)}",
        _key(draft, table), f"columns = {listed(names)}",
        f"value = {one_or_list([one.name for one in value])}",
    ]  # fmt: skip
    if text_column:
        lines.append(f"text = {text(text_column.name)}")
    if labels:
        lines.append(f'labels = "{labels}"')
    else:
        lines += _words(value[0], kind)
    if own:
        lines.append(f"released_by = {text(own.name)}")
    lines += hints(table, kind, value[0], frozenset(names))
    same = fill_in("the same columns, as the facts below give them")
    lines += [f'facts = "{facts}"', f"by = {one_or_list(table.key or (same,))}"]
    return [*_deleted(table), *lines]


def _key(draft: Draft, table: Table) -> str:
    if table.key:
        return f"key = {one_or_list(table.key)}"
    edges = draft.joins.from_(table.name)
    pointing = ", ".join(dict.fromkeys(column for one in edges for column in one.columns))
    hint = f", perhaps {pointing}" if pointing else ""
    return (
        f"key = {text(fill_in(f'the columns that together identify a row of {table.name}{hint}'))}"
    )


def _deleted(table: Table) -> list[str]:
    found = column_of(table, "deleted")
    if found is None:
        return []
    return comment(
        f"{table.name}.{found.name} looks as if rows are marked as deleted, and stay: the facts "
        "below must leave such rows out, or say that they are not released."
    )


def _facts(
    draft: Draft,
    base: Table,
    kind: Kind,
    release: _Release | None,
    of: Path = (),
    record: str = "",
) -> Select:
    """The columns that facts of every kind need. *of* leads to the table that is watched."""
    select = draft.select(base)
    watched = draft.schema.table(of[-1].parent) if of else base
    for name, column in zip(watched.key, select.key(of, needed=True), strict=True):
        select.add(column, name)
    own = (
        select.identity(() if record else of, needed=True)
        if base.key
        else fill_in("what is shown, as text")
    )
    plain = own if draft.sql.is_text(own) else draft.sql.text(own)
    select.add(draft.sql.prefixed(record, own) if record else plain, "record")
    _add_place(draft, select, base)
    _add_release(select, kind, release)
    return select


def _add_place(draft: Draft, select: Select, base: Table) -> None:
    """Whose record it is, and of which school and calendar."""
    school, calendar = draft.place(base)
    ways = {"student": draft.path(base, "student"), "school": school, "calendar": calendar}
    for role, path in ways.items():
        found = (
            select.identity(path, needed=True)
            if path is not None
            else fill_in(f"the {role} that a row of {base.name} belongs to")
        )
        select.add(found, f"{role}_id")
    draft.narrowed(select, school, calendar)


def _add_release(select: Select, kind: Kind, release: _Release | None) -> None:
    if release and release.flag:
        select.add(select.column(release.path, release.flag.name, needed=True), "released")
    elif (release and release.day) or kind in _SHOWN_AT_ONCE:
        select.add("TRUE", "released")
    else:
        what = "whether families may see it now; TRUE where the SIS holds nothing back"
        select.add(fill_in(what), "released")
    if release and release.day:
        select.add(select.column(release.path, release.day.name, needed=True), "visible_from")


def _course_and_term(draft: Draft, select: Select, table: Table, *, term: bool = True) -> None:
    for role in ("course", "term") if term else ("course",):
        path = draft.path(table, role)
        if path and role == "term":
            select.add(select.identity(path), "term_id")
        if path and (found := draft.titled(path, draft.schema.table(path[-1].parent))):
            select.add(select.column(*found), role)


def _whose(draft: Draft, table: Table) -> tuple[Table, Path]:
    """From where rows of students lead to *table*: itself, or a table that points to it."""
    if draft.path(table, "student") is not None:
        return table, ()
    student = draft.table("student")
    pointing = [(edge, draft.schema.table(edge.child)) for edge in draft.joins.to(table.name)]
    for edge, one in sorted(pointing, key=lambda pair: pair[1] is not student):
        if draft.path(one, "student") is not None:
            return one, (edge,)
    return table, ()


def _words(value: Column, kind: Kind) -> list[str]:
    """A line for values that stand for words; what they mean, a person must say."""
    if kind is Kind.ATTENDANCE:
        asked = [f"what {one} means: {_ATTENDANCE}" for one in value.values]
    elif value.sort is Sort.NUMBER:
        asked = [f"what {one} means, like excused" for one in value.values]
    else:
        return []
    pairs = [
        f"{text(one)} = {text(fill_in(what))}"
        for one, what in zip(value.values, asked, strict=True)
    ]
    return [f"words = {{ {', '.join(pairs)} }}"] if pairs else []


def _said_of_values(value: Column) -> list[str]:
    if not value.values or value.sort is not Sort.NUMBER:
        return []
    return comment(
        f"{value.name} is below zero in some rows: {', '.join(value.values)}. Such a number often "
        "stands for a word: `words` above says it, and `ignore` in its place says nothing."
    )


def _attendance_labels(draft: Draft, codes: Table) -> list[str]:
    """Words for the codes: one of ours where they can be told, else those of the SIS."""
    select = draft.select(codes)
    select.add(select.column((), codes.key[0]), "value")
    status = next((one for one in codes.columns if _is_status(one)), None)
    excuse = column_of(codes, "excuse")
    if status is None:
        titled = draft.titled((), codes)
        label = select.column(*titled) if titled else fill_in("the column with the words")
        select.add(label, "label")
        return [
            *comment(
                f"Families read these words as they stand; written as one of {_ATTENDANCE} (by "
                "CASE WHEN ... THEN 'absent' ...) they are translated, and “present” is no news."
            ),
            "[labels.attendance_code]", *query(select.written()),
        ]  # fmt: skip
    column = select.column((), status.name)
    select.add(_with_excuse(select, column, status, excuse), "label")
    return ["[labels.attendance_code]", *query(select.written())]


def _is_status(column: Column) -> bool:
    return bool(column.values) and set(column.values) <= _OUR_WORDS


def _with_excuse(select: Select, column: str, status: Column, excuse: Column | None) -> str:
    excused = [one for one in excuse.values if one.lower() in _EXCUSED] if excuse else []
    if excuse is None or not excused:
        return column
    among = ", ".join(f"'{one}'" for one in excused)
    having = f"{select.column((), excuse.name)} IN ({among})"
    whens = "".join(
        f"\n        WHEN {column} = '{one}'\n            AND {having} THEN '{one}_excused'"
        for one in ("absent", "tardy")
        if one in status.values
    )
    return f"CASE{whens}\n        ELSE {column}\n    END"
