"""The bundled templates for a record that is gone: corrections of what was told of it.

`before` is what was told last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rules.audience import Audience
from rules.change import Kind
from rules.privacy import Level
from rules.wording.templates import Template, TemplateKey

_PLACE: Final = "in {{ course }} (period {{ period }}) on {{ date }}"
_LUGAR: Final = "en {{ course }} (hora {{ period }}) el {{ date }}"

# For each kind the title and the body for a guardian, then those for the student.
_FULL: Final[Mapping[str, Mapping[Kind, tuple[str, str, str, str]]]] = {
    "en": {
        Kind.ASSIGNMENT: (
            "{{ course }}: {{ title }}",
            "Correction: {{ student }}'s score, {{ before }}, was withdrawn.",
            "{{ course }}: {{ title }}",
            "Correction: your score, {{ before }}, was withdrawn.",
        ),
        Kind.GRADE: (
            "{{ course }}: grade withdrawn",
            "Correction: {{ student }}'s {{ term }} grade, {{ before }}, was withdrawn.",
            "{{ course }}: grade withdrawn",
            "Correction: your {{ term }} grade, {{ before }}, was withdrawn.",
        ),
        Kind.ATTENDANCE: (
            "Attendance: {{ student }}",
            "Correction: {{ student }}'s mark, {{ before }} " + _PLACE + ", was withdrawn.",
            "Attendance",
            "Correction: your mark, {{ before }} " + _PLACE + ", was withdrawn.",
        ),
        Kind.MEAL_BALANCE: (
            "Meal balance: {{ student }}",
            "Correction: {{ student }}'s meal balance, {{ before }}, was withdrawn.",
            "Meal balance",
            "Correction: your meal balance, {{ before }}, was withdrawn.",
        ),
        Kind.RESPONSIVE_SCHEDULE: (
            "Schedule: {{ student }}",
            "Correction: {{ student }}'s {{ title }}, {{ before }}, was withdrawn.",
            "Schedule",
            "Correction: your {{ title }}, {{ before }}, was withdrawn.",
        ),
    },
    "es": {
        Kind.ASSIGNMENT: (
            "{{ course }}: {{ title }}",
            "Corrección: se retiró la puntuación de {{ student }}, {{ before }}.",
            "{{ course }}: {{ title }}",
            "Corrección: se retiró tu puntuación, {{ before }}.",
        ),
        Kind.GRADE: (
            "{{ course }}: calificación retirada",
            "Corrección: se retiró la calificación de {{ student }} ({{ term }}), {{ before }}.",
            "{{ course }}: calificación retirada",
            "Corrección: se retiró tu calificación ({{ term }}), {{ before }}.",
        ),
        Kind.ATTENDANCE: (
            "Asistencia: {{ student }}",
            "Corrección: se retiró lo anotado de {{ student }}, {{ before }} " + _LUGAR + ".",
            "Asistencia",
            "Corrección: se retiró lo anotado, {{ before }} " + _LUGAR + ".",
        ),
        Kind.MEAL_BALANCE: (
            "Saldo de comedor: {{ student }}",
            "Corrección: se retiró el saldo de comedor de {{ student }}, {{ before }}.",
            "Saldo de comedor",
            "Corrección: se retiró tu saldo de comedor, {{ before }}.",
        ),
        Kind.RESPONSIVE_SCHEDULE: (
            "Horario: {{ student }}",
            "Corrección: se retiró {{ title }} de {{ student }}, {{ before }}.",
            "Horario",
            "Corrección: se retiró {{ title }}, {{ before }}.",
        ),
    },
}
_LOOK_INSIDE: Final = {"en": "Open the app to see it.", "es": "Abre la aplicación para verla."}
_NEWS: Final[Mapping[str, Mapping[Kind, str]]] = {
    "en": {
        Kind.ASSIGNMENT: "a correction of a score",
        Kind.GRADE: "a correction of a grade",
        Kind.ATTENDANCE: "a correction of attendance",
        Kind.MEAL_BALANCE: "a correction of the meal balance",
        Kind.RESPONSIVE_SCHEDULE: "a correction of the schedule",
    },
    "es": {
        Kind.ASSIGNMENT: "corrección de una puntuación",
        Kind.GRADE: "corrección de una calificación",
        Kind.ATTENDANCE: "corrección de asistencia",
        Kind.MEAL_BALANCE: "corrección del saldo de comedor",
        Kind.RESPONSIVE_SCHEDULE: "corrección del horario",
    },
}


def _templates() -> Iterator[tuple[TemplateKey, Template]]:
    for language, full in _FULL.items():
        for kind, (title, body, own_title, own_body) in full.items():
            yield _key(language, kind, Audience.GUARDIAN), Template(title, body)
            yield _key(language, kind, Audience.STUDENT), Template(own_title, own_body)
    for language, kinds in _NEWS.items():
        for kind, news in kinds.items():
            to_guardian = Template("{{ student }}: " + news, _LOOK_INSIDE[language])
            to_student = Template(news[0].upper() + news[1:], _LOOK_INSIDE[language])
            yield _key(language, kind, Audience.GUARDIAN, Level.NAMED), to_guardian
            yield _key(language, kind, Audience.STUDENT, Level.NAMED), to_student


def _key(language: str, kind: Kind, audience: Audience, level: Level = Level.FULL) -> TemplateKey:
    return TemplateKey(language, kind, audience, level, withdrawn=True)


WITHDRAWN: Final[Mapping[TemplateKey, Template]] = dict(_templates())
