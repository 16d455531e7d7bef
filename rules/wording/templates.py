"""The bundled templates, by language, kind and audience.

Variables are named in VARIABLES. `before` is blank when families had not seen a value yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from rules.audience import Audience
from rules.change import Kind
from rules.privacy import Level


class TemplateKey(NamedTuple):
    """Which template: `en.assignment.guardian` in a templates file.

    For lock screens that may not show all there are `en.generic.guardian`, of no kind, and
    `en.named.assignment.guardian`. What corrects a text about a record that is gone is
    `en.withdrawn.assignment.guardian`, or `en.named.withdrawn.assignment.guardian`.
    """

    language: str
    kind: Kind | None
    audience: Audience
    level: Level = Level.FULL
    withdrawn: bool = False

    @property
    def variables(self) -> frozenset[str]:
        """What the template may name."""
        if self.level is Level.FULL and self.kind:
            return VARIABLES[self.kind]
        return frozenset({"student"} if self.kind else ())

    def __str__(self) -> str:
        level = None if self.level is Level.FULL else self.level
        what = "withdrawn" if self.withdrawn else None
        return ".".join(filter(None, (self.language, level, what, self.kind, self.audience)))


class Template(NamedTuple):
    """The Jinja2 source of a title and a body."""

    title: str
    body: str


_ALWAYS: Final = frozenset({"student", "before", "after"})
VARIABLES: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.ASSIGNMENT: _ALWAYS | {"title", "course", "term"},
    Kind.GRADE: _ALWAYS | {"course", "term"},
    Kind.ATTENDANCE: _ALWAYS | {"course", "period", "date"},
    Kind.MEAL_BALANCE: _ALWAYS,
    Kind.RESPONSIVE_SCHEDULE: _ALWAYS | {"title", "day"},
}

ATTENDANCE_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "present": "present",
        "absent": "absent",
        "absent_excused": "absent (excused)",
        "tardy": "tardy",
        "tardy_excused": "tardy (excused)",
        "left_early": "left early",
    },
    "es": {
        "present": "presente",
        "absent": "ausente",
        "absent_excused": "ausente (justificado)",
        "tardy": "con retraso",
        "tardy_excused": "con retraso (justificado)",
        "left_early": "salida anticipada",
    },
}

NAMELESS: Final[Mapping[str, str]] = {"en": "Your student", "es": "Su estudiante"}

_WAS: Final = "{% if before %} (was {{ before }}){% endif %}"
_ERA: Final = "{% if before %} (antes {{ before }}){% endif %}"
_STUDENT, _GUARDIAN = Audience.STUDENT, Audience.GUARDIAN

BUNDLED: Final[Mapping[TemplateKey, Template]] = {
    TemplateKey("en", Kind.ASSIGNMENT, _GUARDIAN): Template(
        "{{ course }}: {{ title }}", "{{ student }} scored {{ after }}" + _WAS + "."
    ),
    TemplateKey("en", Kind.ASSIGNMENT, _STUDENT): Template(
        "{{ course }}: {{ title }}", "You scored {{ after }}" + _WAS + "."
    ),
    TemplateKey("en", Kind.GRADE, _GUARDIAN): Template(
        "{{ course }}: grade posted", "{{ student }}'s {{ term }} grade is {{ after }}" + _WAS + "."
    ),
    TemplateKey("en", Kind.GRADE, _STUDENT): Template(
        "{{ course }}: grade posted", "Your {{ term }} grade is {{ after }}" + _WAS + "."
    ),
    TemplateKey("en", Kind.ATTENDANCE, _GUARDIAN): Template(
        "Attendance: {{ student }}",
        "{{ student }} was marked {{ after }} in {{ course }} (period {{ period }}) on {{ date }}"
        + _WAS
        + ".",
    ),
    TemplateKey("en", Kind.ATTENDANCE, _STUDENT): Template(
        "Attendance",
        "You were marked {{ after }} in {{ course }} (period {{ period }}) on {{ date }}"
        + _WAS
        + ".",
    ),
    TemplateKey("en", Kind.MEAL_BALANCE, _GUARDIAN): Template(
        "Meal balance: {{ student }}", "{{ student }}'s meal balance is {{ after }}" + _WAS + "."
    ),
    TemplateKey("en", Kind.MEAL_BALANCE, _STUDENT): Template(
        "Meal balance", "Your meal balance is {{ after }}" + _WAS + "."
    ),
    TemplateKey("en", Kind.RESPONSIVE_SCHEDULE, _GUARDIAN): Template(
        "Schedule: {{ student }}", "{{ student }}'s {{ title }} is now: {{ after }}" + _WAS + "."
    ),
    TemplateKey("en", Kind.RESPONSIVE_SCHEDULE, _STUDENT): Template(
        "Schedule", "Your {{ title }} is now: {{ after }}" + _WAS + "."
    ),
    TemplateKey("es", Kind.ASSIGNMENT, _GUARDIAN): Template(
        "{{ course }}: {{ title }}", "{{ student }} obtuvo {{ after }}" + _ERA + "."
    ),
    TemplateKey("es", Kind.ASSIGNMENT, _STUDENT): Template(
        "{{ course }}: {{ title }}", "Obtuviste {{ after }}" + _ERA + "."
    ),
    TemplateKey("es", Kind.GRADE, _GUARDIAN): Template(
        "{{ course }}: calificación publicada",
        "La calificación de {{ student }} ({{ term }}) es {{ after }}" + _ERA + ".",
    ),
    TemplateKey("es", Kind.GRADE, _STUDENT): Template(
        "{{ course }}: calificación publicada",
        "Tu calificación ({{ term }}) es {{ after }}" + _ERA + ".",
    ),
    TemplateKey("es", Kind.ATTENDANCE, _GUARDIAN): Template(
        "Asistencia: {{ student }}",
        "{{ student }}: {{ after }} en {{ course }} (hora {{ period }}) el {{ date }}" + _ERA + ".",
    ),
    TemplateKey("es", Kind.ATTENDANCE, _STUDENT): Template(
        "Asistencia", "{{ after }} en {{ course }} (hora {{ period }}) el {{ date }}" + _ERA + "."
    ),
    TemplateKey("es", Kind.MEAL_BALANCE, _GUARDIAN): Template(
        "Saldo de comedor: {{ student }}",
        "El saldo de comedor de {{ student }} es {{ after }}" + _ERA + ".",
    ),
    TemplateKey("es", Kind.MEAL_BALANCE, _STUDENT): Template(
        "Saldo de comedor", "Tu saldo de comedor es {{ after }}" + _ERA + "."
    ),
    TemplateKey("es", Kind.RESPONSIVE_SCHEDULE, _GUARDIAN): Template(
        "Horario: {{ student }}", "{{ title }} de {{ student }} ahora: {{ after }}" + _ERA + "."
    ),
    TemplateKey("es", Kind.RESPONSIVE_SCHEDULE, _STUDENT): Template(
        "Horario", "{{ title }} ahora: {{ after }}" + _ERA + "."
    ),
}
