"""The bundled templates for lock screens that may not show all, by language and audience.

A generic one knows no variable. Of what the school writes both say only that: it is about no
student alone, and to say so tells nothing about any. A named one knows `student` alone, so no value
can slip in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rules.audience import Audience
from rules.change import Kind
from rules.privacy import Level
from rules.wording.templates import Template, TemplateKey

_GENERIC: Final = {
    "en": (
        Template("News from school", "There is an update about a student."),
        Template("News from school", "There is an update for you."),
    ),
    "es": (
        Template("Aviso de la escuela", "Hay una novedad sobre un estudiante."),
        Template("Aviso de la escuela", "Hay una novedad para ti."),
    ),
}
_MESSAGE: Final = {
    "en": Template("Message from school", "You have a message from the school."),
    "es": Template("Mensaje de la escuela", "Tiene un mensaje de la escuela."),
}
_LOOK_INSIDE: Final = {"en": "Open the app to see it.", "es": "Abre la aplicación para verla."}
_NEWS: Final[Mapping[str, Mapping[Kind, str]]] = {
    "en": {
        Kind.ASSIGNMENT: "a new score",
        Kind.GRADE: "a new grade",
        Kind.ATTENDANCE: "news of attendance",
        Kind.MEAL_BALANCE: "news of the meal balance",
        Kind.RESPONSIVE_SCHEDULE: "news of the schedule",
    },
    "es": {
        Kind.ASSIGNMENT: "una nueva puntuación",
        Kind.GRADE: "una nueva calificación",
        Kind.ATTENDANCE: "una novedad de asistencia",
        Kind.MEAL_BALANCE: "una novedad del saldo de comedor",
        Kind.RESPONSIVE_SCHEDULE: "una novedad del horario",
    },
}


def _templates() -> Iterator[tuple[TemplateKey, Template]]:
    for language, (to_guardian, to_student) in _GENERIC.items():
        yield TemplateKey(language, None, Audience.GUARDIAN, Level.GENERIC), to_guardian
        yield TemplateKey(language, None, Audience.STUDENT, Level.GENERIC), to_student
    for language, message in _MESSAGE.items():
        for audience in Audience:
            for level in (Level.GENERIC, Level.NAMED):
                yield TemplateKey(language, Kind.BROADCAST, audience, level), message
    for language, kinds in _NEWS.items():
        for kind, news in kinds.items():
            to_guardian = Template("{{ student }}: " + news, _LOOK_INSIDE[language])
            to_student = Template(news[0].upper() + news[1:], _LOOK_INSIDE[language])
            yield TemplateKey(language, kind, Audience.GUARDIAN, Level.NAMED), to_guardian
            yield TemplateKey(language, kind, Audience.STUDENT, Level.NAMED), to_student


SHORT: Final[Mapping[TemplateKey, Template]] = dict(_templates())
