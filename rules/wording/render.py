"""Rendering: sandboxed, strict about undefined variables, blank texts refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import jinja2
from jinja2 import meta, nodes
from jinja2.runtime import Context

from rules.audience import Audience
from rules.broadcasts import Message
from rules.change import Facts, Kind
from rules.privacy import Level
from rules.reasons import Reason
from rules.wording.allowed import Environment, TooLong, refusals
from rules.wording.broadcasts import say
from rules.wording.short import SHORT
from rules.wording.templates import (
    ATTENDANCE_WORDS,
    BUNDLED,
    NAMELESS,
    VARIABLES,
    Template,
    TemplateKey,
)
from rules.wording.text import LONGEST_TEXT, LONGEST_VARIABLE  # the answers of Wording
from rules.wording.text import Text as Text
from rules.wording.text import TextFault as TextFault
from rules.wording.withdrawn import WITHDRAWN

FALLBACK: Final = "en"
# One render for both halves costs half of two. No text from a file or a database can hold half of
# a surrogate pair.
_HALVES: Final = "\udfff"
_ANYBODY: Final = {"student": "Ada"}
_UNKNOWN: Final = r"'\w+' is undefined"
_MOST_KEPT: Final = 20_000  # short texts: there are few for each student and language


class _Part(NamedTuple):
    """Words, then a variable, or what stands there if it is not blank."""

    words: str
    variable: str = ""
    within: Sequence[_Part] | None = None


class _Compiled(NamedTuple):
    """A template, and its parts where it has only words, variables and `{% if variable %}`."""

    template: jinja2.Template
    parts: Sequence[_Part] | None


class Wording:
    """Templates, compiled once. *overrides* replace bundled ones or add languages."""

    def __init__(self, overrides: Mapping[TemplateKey, Template] | None = None) -> None:
        self._sources = {**BUNDLED, **SHORT, **WITHDRAWN, **(overrides or {})}
        self._environment = Environment(
            undefined=jinja2.StrictUndefined, autoescape=False, cache_size=0
        )
        self._compiled: dict[TemplateKey, _Compiled | TextFault] = {}
        self._keys: dict[tuple[Kind | None, Audience, str, Level, bool], TemplateKey] = {}
        self._said: dict[tuple[Level, Kind | None, Audience, str, str, bool], Text] = {}

    def faults(self) -> Iterator[TextFault]:
        """Every template that cannot be compiled, is not for texts or names an unknown variable.

        A short one, which knows a first name at most, is tried as well.
        """
        for key in self._sources:
            compiled = self._template(key)
            if isinstance(compiled, TextFault):
                yield compiled
            elif unknown := sorted(self._variables(key) - key.variables):
                yield TextFault(
                    Reason.TEMPLATE_INVALID, str(key), f"unknown variable {', '.join(unknown)}"
                )
            elif key.level is not Level.FULL:
                text = self._said_by(key, _ANYBODY)
                if isinstance(text, TextFault):
                    yield text

    def used(self, kind: Kind) -> frozenset[str]:
        """The variables that some text about a kind uses."""
        keys = [key for key in self._sources if key.kind is kind and key.level is Level.FULL]
        return frozenset().union(*map(self._variables, keys))

    def render(self, facts: Facts | Message, audience: Audience, language: str) -> Text | TextFault:
        """Say *facts* to *audience*; es-MX falls back to es, then to en.

        What staff wrote falls back to the language that they wrote first.
        """
        if isinstance(facts, Message):
            return say(facts.texts, [unit.variables for unit in facts.units], language)
        key = self._key(facts.kind, audience, language, Level.FULL, facts.is_withdrawn)
        return self._said_by(key, _variables_of(facts, key.language))

    def brief(
        self,
        level: Level,
        kind: Kind,
        audience: Audience,
        language: str,
        student: str,
        *,
        withdrawn: bool = False,
    ) -> Text:
        """Say that there is something to read: about whom and of which kind if *level* is NAMED.

        Then it also says whether it corrects what was *withdrawn*. A GENERIC one does not: few
        kinds are ever withdrawn, so it would tell the kind.

        Where an own template gives no text, the bundled one does: nobody may get more to see, or
        nothing, because of it.
        """
        if level is Level.NAMED or kind is Kind.BROADCAST:
            of_kind, who = kind, student
        else:
            of_kind, who = None, ""
        withdrawn = withdrawn and level is Level.NAMED
        which = (level, of_kind, audience, language, who, withdrawn)
        text = self._said.get(which)
        if text is None:
            key = self._key(of_kind, audience, language, level, withdrawn)
            said = self._said_by(key, {"student": who or _nameless(key.language)})
            if isinstance(said, TextFault):
                said = Wording().brief(
                    level, kind, audience, language, student, withdrawn=withdrawn
                )
            if len(self._said) >= _MOST_KEPT:
                self._said.clear()
            text = self._said[which] = said
        return text

    def _said_by(self, key: TemplateKey, variables: dict[str, str]) -> Text | TextFault:
        template = self._template(key)
        if isinstance(template, TextFault):
            return template
        try:
            title, body = _fill(template, variables)
        except Exception as error:  # a template is foreign code: whatever it raises is its fault
            return TextFault(Reason.TEMPLATE_INVALID, str(key), _problem(error))
        title, body = title.strip(), body.strip()
        if not title or not body:
            half = "title" if not title else "body"
            return TextFault(Reason.TEXT_BLANK, str(key), f"the {half} came out blank")
        return Text(title, body)

    def _key(
        self, kind: Kind | None, audience: Audience, language: str, level: Level, withdrawn: bool
    ) -> TemplateKey:
        asked = (kind, audience, language, level, withdrawn)
        found = self._keys.get(asked)
        if found is None:
            keys = (TemplateKey(one, kind, audience, level, withdrawn) for one in _spoken(language))
            found = self._keys[asked] = next(key for key in keys if key in self._sources)
        return found

    def _template(self, key: TemplateKey) -> _Compiled | TextFault:
        if key not in self._compiled:
            self._compiled[key] = self._compile(key)
        return self._compiled[key]

    def _compile(self, key: TemplateKey) -> _Compiled | TextFault:
        try:
            for half in self._sources[key]:  # each must be whole by itself
                if refused := "; ".join(refusals(self._environment, half)):
                    return TextFault(Reason.TEMPLATE_INVALID, str(key), refused)
            source = _HALVES.join(self._sources[key])
            return _Compiled(
                self._environment.from_string(source), _parts(self._environment.parse(source).body)
            )
        except Exception as error:  # Jinja's own, and Python's, of what is nested too deeply
            return TextFault(Reason.TEMPLATE_INVALID, str(key), str(error))

    def _variables(self, key: TemplateKey) -> set[str]:
        parsed = self._environment.parse(_HALVES.join(self._sources[key]))
        return meta.find_undeclared_variables(parsed)


def _fill(compiled: _Compiled, variables: dict[str, str]) -> tuple[str, str]:
    """Render both halves of what is at most LONGEST_TEXT long; what is longer is cut."""
    for name, value in variables.items():
        if len(value) > LONGEST_VARIABLE:
            variables[name] = _cut(value, LONGEST_VARIABLE)
    text = _put_together(compiled, variables)
    if len(text) > LONGEST_TEXT:
        text = _cut(text, LONGEST_TEXT)
    title, between, body = text.partition(_HALVES)
    if not between:
        raise TooLong(f"the title alone comes out longer than {LONGEST_TEXT:,} characters")
    return title, body


def _put_together(compiled: _Compiled, variables: dict[str, str]) -> str:
    """By the parts, which takes a fifth of the time, or by Jinja, which also says what is wrong.

    Jinja goes without its globals (range, lipsum ...): no text needs them, and copying them into
    each context took six times as long as the rendering itself.
    """
    if compiled.parts is not None:
        try:
            return "".join(_said(compiled.parts, variables))
        except KeyError:
            pass  # the variable is unknown
    template = compiled.template
    context = Context(template.environment, variables, template.name, template.blocks)
    return "".join(template.root_render_func(context))


def _said(parts: Sequence[_Part], variables: Mapping[str, str]) -> list[str]:
    said = []
    for words, variable, within in parts:
        said.append(words)
        if variable:
            value = variables[variable]
            if within is None:
                said.append(value)
            elif value:
                said += _said(within, variables)
    return said


def _parts(body: Sequence[nodes.Node]) -> Sequence[_Part] | None:
    """What a template consists of, or None where it has more in it than that."""
    found: list[_Part] = []
    for node in body:
        match node:
            case nodes.Output(nodes=inner):
                more = _parts(inner)
            case nodes.TemplateData(data=words):
                more = [_Part(words)]
            case nodes.Name(name=variable):
                more = [_Part("", variable)]
            case nodes.If(test=nodes.Name(name=variable), elif_=[], else_=[]):
                within = _parts(node.body)
                more = None if within is None else [_Part("", variable, within)]
            case _:
                more = None
        if more is None:
            return None
        found += more
    return found


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _problem(error: Exception) -> str:
    """What went wrong, without the words of a student that an error may quote."""
    if isinstance(error, TooLong | ArithmeticError | TypeError):
        return str(error)
    if isinstance(error, jinja2.UndefinedError) and re.fullmatch(_UNKNOWN, str(error)):
        return str(error)
    return f"it looks for what is not there ({type(error).__name__})"


def _variables_of(facts: Facts, language: str) -> dict[str, str]:
    """Every variable of the kind: what the source left out is blank, a typo is undefined."""
    variables = dict.fromkeys(VARIABLES[facts.kind], "")
    variables |= facts.details
    variables["student"] = facts.student_name or _nameless(language)
    variables["before"] = _word(facts.kind, facts.before, language)
    variables["after"] = _word(facts.kind, facts.after, language)
    return variables


def _nameless(language: str) -> str:
    """What a student is called whose name the SIS does not give."""
    return next(NAMELESS[one] for one in _spoken(language) if one in NAMELESS)


def _word(kind: Kind, value: str | None, language: str) -> str:
    if value is None:
        return ""
    if kind is Kind.ATTENDANCE:
        words = next(ATTENDANCE_WORDS[one] for one in _spoken(language) if one in ATTENDANCE_WORDS)
        return words.get(value, value)
    return value


def _spoken(language: str) -> tuple[str, str, str]:
    """In which order languages are looked for: es-MX, es, en."""
    return language, language.partition("-")[0], FALLBACK
