"""What the district chose: its flag, food service, privacy, display options; its active year."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from secrets import token_urlsafe
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    delete,
    exists,
    or_,
    select,
    update,
)

from engine.errors import Misconfigured
from engine.store.bulk import one_of
from engine.store.tables import calendars, display_options, district, schools, terms
from rules.audience import Audience
from rules.change import CalendarId, Kind, SchoolId, TermId
from rules.display_options import ALL_TERMS, DisplayOptions, OfTerms, Term
from rules.gates import ActiveCalendars, Circumstances
from rules.privacy import Level, Privacy

YOUNGEST_STUDENT: Final = 13
"""From how many years on students sign in where the district has not chosen."""

_THE_ONE = 1


class Settings(NamedTuple):
    """What a district chose for all its schools."""

    enabled: bool
    food_service: bool
    privacy: Privacy
    approval_above: int
    youngest_student: int


def _is_active(table: FromClause) -> ColumnElement[bool]:
    return and_(
        table.c.active,
        or_(table.c.starts.is_(None), table.c.starts <= bindparam("today")),
        or_(table.c.ends.is_(None), table.c.ends >= bindparam("today")),
    )


# Made once: it is asked for each batch.
_SOMEWHERE: Final = calendars.alias()
_ACTIVE: Final = select(calendars.c.id, calendars.c.school_id, _is_active(calendars)).where(
    exists().where(_SOMEWHERE.c.id == calendars.c.id, _is_active(_SOMEWHERE))
)

# What is shown in all terms is what nobody chose: it is not read.
_CHOSEN: Final = select(
    display_options.c.school_id, display_options.c.term_id, display_options.c.kind,
    display_options.c.audience, display_options.c.shown,
).where(or_(display_options.c.term_id != ALL_TERMS, ~display_options.c.shown))  # fmt: skip


def create(connection: Connection, *, enabled: bool = False, food_service: bool = True) -> None:
    """Make the district's row unless it is there. Nothing is sent until somebody enables it."""
    if connection.execute(select(district.c.id)).first() is None:
        connection.execute(
            district.insert().values(
                id=_THE_ONE, enabled=enabled, food_service=food_service,
                privacy=Level.GENERIC, end_to_end=False, salt=token_urlsafe(16),
                approval_above=0, youngest_student=YOUNGEST_STUDENT,
            )
        )  # fmt: skip


def token(connection: Connection) -> str:
    """What tells this installation from any other, derived from the salt, which stays here.

    Raises Misconfigured before `install` has made the district's row.
    """
    salt = privacy(connection).salt
    if not salt:
        raise Misconfigured(
            "The engine's database knows no district yet.", "Run `schoolbell install`."
        )
    return blake2b(salt.encode(), digest_size=16, person=b"capture").hexdigest()


def set_enabled(connection: Connection, *, enabled: bool) -> None:
    """Switch push notifications on or off for the whole district, from the next batch on."""
    connection.execute(update(district).values(enabled=enabled))


def set_food_service(connection: Connection, *, food_service: bool) -> None:
    """Say whether the district has food service, and so meal balances."""
    connection.execute(update(district).values(food_service=food_service))


def set_privacy(connection: Connection, level: Level) -> None:
    """Say what lock screens may show at most, from the next push on."""
    connection.execute(update(district).values(privacy=level))


def set_end_to_end(connection: Connection, *, sealed: bool) -> None:
    """Say whether texts are sealed for the phone, so that nobody on the way can read them."""
    connection.execute(update(district).values(end_to_end=sealed))


def set_approval_above(connection: Connection, recipients: int) -> None:
    """Say how many recipients a broadcast may have without a second person's approval."""
    connection.execute(update(district).values(approval_above=recipients))


def settings(connection: Connection) -> Settings:
    """All of it at once. A district that was never set up is off and shows least."""
    table = district.c
    row = connection.execute(
        select(
            table.enabled, table.food_service, table.privacy, table.end_to_end, table.salt,
            table.approval_above, table.youngest_student,
        )
    ).first()  # fmt: skip
    if row is None:
        return Settings(False, True, Privacy(), 0, YOUNGEST_STUDENT)
    return Settings(
        row.enabled, row.food_service, Privacy(Level(row.privacy), row.end_to_end, row.salt),
        row.approval_above, row.youngest_student,
    )  # fmt: skip


def approval_above(connection: Connection) -> int:
    """How many recipients a broadcast may have without one; 0 where it never needs any."""
    return int(connection.execute(select(district.c.approval_above)).scalar() or 0)


def set_youngest_student(connection: Connection, years: int) -> None:
    """Say from how many years on students sign in; 0 is any age."""
    connection.execute(update(district).values(youngest_student=years))


def youngest_student(connection: Connection) -> int:
    """From how many years on students sign in; 0 where they do at any age."""
    found = connection.execute(select(district.c.youngest_student)).scalar()
    return YOUNGEST_STUDENT if found is None else int(found)


def privacy(connection: Connection) -> Privacy:
    """How much leaves this house now. A district that was never set up shows least."""
    row = connection.execute(
        select(district.c.privacy, district.c.end_to_end, district.c.salt)
    ).first()
    return Privacy(Level(row.privacy), row.end_to_end, row.salt) if row else Privacy()


def is_enabled(connection: Connection) -> bool:
    """Whether push notifications are on."""
    return bool(connection.execute(select(district.c.enabled)).scalar())


def has_food_service(connection: Connection) -> bool:
    """Whether meal balances are offered. A district that was never set up has them."""
    found = connection.execute(select(district.c.food_service)).scalar()
    return found is None or bool(found)


def schools_by_name(connection: Connection) -> Mapping[SchoolId, str]:
    """The schools of the district and what they are called, in the order of their names."""
    rows = connection.execute(select(schools.c.id, schools.c.name).order_by(schools.c.name))
    return {SchoolId(school): name for school, name in rows}


def options(connection: Connection) -> DisplayOptions:
    """The display options. The terms are asked for where a school chose for one of them."""
    hidden = set()
    own: dict[SchoolId, dict[tuple[TermId, Kind, Audience], bool]] = defaultdict(dict)
    for school, term, kind, audience, shown in connection.execute(_CHOSEN):
        tool = Kind(kind), Audience(audience)
        if term != ALL_TERMS:
            own[SchoolId(school)][TermId(term), *tool] = shown
        else:
            hidden.add((SchoolId(school), *tool))
    found = terms_of(connection, own) if own else {}
    return DisplayOptions(
        frozenset(hidden), {school: OfTerms(of, found[school]) for school, of in own.items()}
    )


def terms_of(
    connection: Connection, schools_: Collection[SchoolId]
) -> Mapping[SchoolId, Sequence[Term]]:
    """The terms of each of some schools, those of every school among them, in their order."""
    rows = connection.execute(
        select(terms).where(
            or_(terms.c.school_id == "", one_of(connection, terms.c.school_id, schools_))
        )
    ).all()
    found = [
        Term(
            TermId(row.id), SchoolId(row.school_id), row.name, row.starts, row.ends,
            CalendarId(row.calendar_id),
        )
        for row in rows
    ]  # fmt: skip
    found.sort(key=lambda one: (one.first, -one.length, one.name, one.id))
    return {school: [one for one in found if one.school in ("", school)] for school in schools_}


def term_name(connection: Connection, school: SchoolId, term: TermId) -> str:
    """What a term of a school is called; its id where it is not listed any more."""
    found = connection.execute(
        select(terms.c.name)
        .where(terms.c.id == term, terms.c.school_id.in_(("", school)))
        .order_by(terms.c.school_id.desc())
    ).scalar()
    return str(found or term)


def knows_school(connection: Connection, school: SchoolId) -> bool:
    """Whether the SIS lists this school."""
    found = connection.execute(select(schools.c.id).where(schools.c.id == school))
    return found.first() is not None


def set_display_option(
    connection: Connection,
    school: SchoolId,
    kind: Kind,
    audience: Audience,
    *,
    shown: bool | None,
    term: TermId = ALL_TERMS,
) -> None:
    """Show or hide a tool to an audience at one school, in all terms or in one.

    What was never set is shown. With None nothing is set: a *term* is as all terms are.
    """
    key = {"school_id": school, "term_id": term, "kind": kind, "audience": audience}
    of_it = [display_options.c[name] == value for name, value in key.items()]
    connection.execute(delete(display_options).where(*of_it))
    if shown is not None:
        connection.execute(display_options.insert().values(**key, shown=shown))


def forget_options_of_terms(connection: Connection) -> int:
    """Forget what was chosen for single terms; return how many choices those were."""
    forgotten = connection.execute(
        delete(display_options).where(display_options.c.term_id != ALL_TERMS)
    )
    return int(forgotten.rowcount)


def circumstances(connection: Connection, today: date) -> Circumstances:
    """What holds for the whole district now. A district that was never set up is off."""
    row = connection.execute(select(district.c.enabled, district.c.food_service)).first()
    return Circumstances(
        today=today,
        enabled=bool(row and row.enabled),
        food_service=bool(row and row.food_service),
        active_calendars=active_calendars(connection, today),
        options=options(connection),
    )


def active_calendars(connection: Connection, today: date) -> ActiveCalendars:
    """The calendars that are active on a day at any school, and at which."""
    found: dict[CalendarId, dict[SchoolId, bool]] = defaultdict(dict)
    for calendar, school, is_active in connection.execute(_ACTIVE, {"today": today}):
        found[CalendarId(calendar)][SchoolId(school)] = bool(is_active)
    return found
