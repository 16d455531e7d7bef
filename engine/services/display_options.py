"""Display options: what each school shows to whom, in all terms or in one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.services.actor import Actor, changed
from engine.store import district, subscribers
from engine.store.staff import audit
from engine.store.staff.audit import Entry
from rules.audience import Audience
from rules.change import KINDS_OF_CHANGE, SchoolId, TermId
from rules.display_options import ALL_TERMS, DisplayOptions, OfTerms, Term, Tool, Where
from rules.gates import EVERY_SCHOOL, ActiveCalendars

ACT: Final = "district.display-option"
TOOLS: Final[Sequence[Tool]] = tuple(
    (kind, audience) for kind in KINDS_OF_CHANGE for audience in Audience
)
# A term that names no calendar is one of this year for so long after its last day.
_OF_THIS_YEAR: Final = timedelta(days=300)


class Option(NamedTuple):
    """Whether a tool is *shown*, and what was chosen for the term itself, None where nothing was.

    *by* is the term whose choice it is; ALL_TERMS where it is that of all terms.
    """

    shown: bool
    own: bool | None
    by: TermId


class InTerm(NamedTuple):
    """What a school shows in a term; in all that have no choice of their own, without a *term*.

    *inherited* is what would hold if nothing were chosen for the term itself.
    """

    term: Term | None
    options: Mapping[Tool, Option]
    inherited: Mapping[Tool, Option]
    is_now: bool = False

    @property
    def id(self) -> TermId:
        """The term's, or ALL_TERMS."""
        return self.term.id if self.term else ALL_TERMS

    @property
    def hidden(self) -> Sequence[Tool]:
        """The tools that are not shown."""
        return [tool for tool, one in self.options.items() if not one.shown]

    @property
    def chosen(self) -> Sequence[Tool]:
        """The tools for which something was chosen in this term."""
        return [tool for tool, one in self.options.items() if one.own is not None]


class OfSchool(NamedTuple):
    """What a school shows: in all terms, and then in each of this year."""

    school: SchoolId
    name: str
    terms: Sequence[InTerm]

    @property
    def has_chosen(self) -> bool:
        """Whether it hides anything, or chose anything for a term."""
        return any(one.hidden or one.chosen for one in self.terms)

    def within(self, term: TermId) -> InTerm | None:
        """What it shows in one term; None for one that it has not."""
        return next((one for one in self.terms if one.id == term), None)

    def called(self, term: TermId) -> str:
        """The name of a term."""
        found = self.within(term)
        return found.term.name if found and found.term else term


def of_schools(
    database: Database, today: date, wanted: Collection[SchoolId] | None = None
) -> Sequence[OfSchool]:
    """What each school shows, in the order of their names; of all, or of those *wanted*."""
    with database.read() as connection:
        names = district.schools_by_name(connection)
        schools = [one for one in names if wanted is None or one in wanted]
        options = district.options(connection)
        terms = district.terms_of(connection, schools)
        active = district.active_calendars(connection, today)
    return [
        _of_school(school, names[school], options, terms[school], active, today)
        for school in schools
    ]


def hearing(database: Database, school: SchoolId, now: datetime, today: date) -> Mapping[Tool, int]:
    """How many people hear now of each tool of a school, where it is shown to them."""
    with database.read() as connection:
        return subscribers.count(connection, school, now, today)


def last_changed(database: Database, school: SchoolId) -> Entry | None:
    """Who changed an option of a school last, and when; None where nobody has yet."""
    with database.read() as connection:
        found = audit.newest(connection, act=ACT, about=_subject_of(school), limit=1)
    return found[0] if found else None


def choose(
    database: Database,
    by: Actor,
    school: SchoolId,
    wished: Mapping[Tool, bool | None],
    term: TermId = ALL_TERMS,
) -> None:
    """Show or hide tools at one school, in all terms or in one; what is hidden is not pushed.

    With None nothing is chosen: a *term* is as all terms are, and those show. Raises
    SchoolbellError for a school or a term that the directory does not know, and for what is no
    tool.
    """
    if any(kind not in KINDS_OF_CHANGE for kind, _ in wished):
        raise SchoolbellError(
            "No school shows or hides what staff write to families.",
            "Name a kind of change; families switch messages off by themselves.",
        )
    with database.write() as connection:
        _require_school(connection, school)
        named = _named(connection, school, term)
        options = district.options(connection)
        for tool, shown in wished.items():
            was = _chosen(options, school, term, tool)
            becomes = True if shown is None and term == ALL_TERMS else shown
            if was is not becomes:
                district.set_display_option(connection, school, *tool, shown=becomes, term=term)
                subject = f"{_subject_of(school)}{tool[0]} for the {tool[1]}{named}"
                by.did(connection, ACT, subject, *changed(was, becomes))


def _of_school(
    school: SchoolId,
    name: str,
    options: DisplayOptions,
    terms: Sequence[Term],
    active: ActiveCalendars,
    today: date,
) -> OfSchool:
    listed = [one for one in terms if _is_listed(one, school, active, today)]
    of_all = {
        tool: Option(is_shown, None, ALL_TERMS)
        for tool in TOOLS
        for is_shown in [(school, *tool) not in options.hidden]
    }
    chosen = options.of_terms.get(school, OfTerms({}, ()))._replace(terms=terms)
    return OfSchool(
        school, name,
        [InTerm(None, of_all, of_all), *(_in_term(one, chosen, of_all, today) for one in listed)],
    )  # fmt: skip


def _in_term(term: Term, chosen: OfTerms, of_all: Mapping[Tool, Option], today: date) -> InTerm:
    where = Where(term.school, term.calendar, term.id, today)
    others = chosen.without(term.id)
    inherited, options = {}, {}
    for tool, general in of_all.items():
        decided = others.deciding(where, tool)
        wider = Option(decided[1], None, decided[0]) if decided else general
        own = chosen.own.get((term.id, *tool))
        inherited[tool] = wider
        options[tool] = wider if own is None else Option(own, own, term.id)
    return InTerm(term, options, inherited, term.holds(today, today, term.calendar))


def _is_listed(term: Term, school: SchoolId, active: ActiveCalendars, today: date) -> bool:
    """Whether it is of this year, or still to come."""
    if term.first > today:
        return True
    if not term.calendar:
        return term.ends is None or term.ends + _OF_THIS_YEAR >= today
    schools = active.get(term.calendar, {EVERY_SCHOOL: False})
    return schools.get(school, schools.get(EVERY_SCHOOL, bool(term.school)))


def _chosen(options: DisplayOptions, school: SchoolId, term: TermId, tool: Tool) -> bool | None:
    if term == ALL_TERMS:
        return (school, *tool) not in options.hidden
    of_terms = options.of_terms.get(school)
    return of_terms.own.get((term, *tool)) if of_terms else None


def _subject_of(school: SchoolId) -> str:
    return f"school {school}: "


def _named(connection: Connection, school: SchoolId, term: TermId) -> str:
    """What the audit log calls a term; raises SchoolbellError for one that the school has not."""
    if term == ALL_TERMS:
        return ""
    known = {one.id: one.name for one in district.terms_of(connection, [school])[school]}
    if not known:
        raise SchoolbellError(
            "The directory knows no term of school %(school)s.",
            "Where the SIS has terms, [directory.terms] of the source definition lists them.",
            school=school,
        )
    if term not in known:
        listed = ", ".join(f"{which} ({name})" for which, name in known.items())
        raise SchoolbellError(
            "School %(school)s has no term %(term)s.",
            "Name one of those that it has: %(listed)s.",
            school=school,
            term=term,
            listed=listed,
        )
    return f" in term {term} ({known[term]})"


def _require_school(connection: Connection, school: SchoolId) -> None:
    if not district.knows_school(connection, school):
        raise SchoolbellError(
            "The directory knows no school %(school)s.",
            "Check the id in the SIS; what is new there arrives with `schoolbell sync`.",
            school=school,
        )
