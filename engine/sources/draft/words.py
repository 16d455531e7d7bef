"""The words that a name is made of, in the language of the hints.

`tblAlumnoNotas`, `student_scores` and `studentgradebookentry` are all read as small words, singular
and in English: SIS are written in many languages, by people who abbreviate.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

# What names say, by what it means here. A name's own English words need no entry.
_MEANINGS: Final = {
    "student": "pupil kid learner child alumno alumna estudiante schueler schuler stu stud",
    "person": "people persona personen demographic mensch pers",
    "guardian": "parent tutor apoderado padre madre eltern elternteil sorgeberechtigter "
    "erziehungsberechtigter acudiente caregiver",
    "contact": "contacto kontakt ansprechpartner",
    "family": "familia familie household",
    "school": "escuela colegio schule campus schl sch",
    "year": "anio ano jahr syear yr",
    "calendar": "calendario kalender cal",
    "term": "trimestre periodo_lectivo halbjahr trimester evaluacion quarter semester",
    "course": "materia asignatura fach kurs curso crs subject",
    "section": "seccion klasse grupo class clase gruppe cls sec",
    "assignment": "tarea aufgabe hausaufgabe trabajo homework task asgn asmt hw assessment exam "
    "actividad klassenarbeit",
    "score": "puntaje ergebnis resultado result",
    "point": "punto punkt pts pt puntuacion",
    "grade": "nota calificacion noten zensur",
    "mark": "letter",
    "percent": "percentage pct porcentaje prozent",
    "report": "boletin boleta zeugnis rpt",
    "attendance": "asistencia absence ausencia falta anwesenheit abwesenheit fehlzeit "
    "att attend abs",
    "code": "codigo kuerzel descriptor cd",
    "status": "estado zustand stat",
    "meal": "lunch food comedor mensa essen cafeteria kantine",
    "account": "cuenta konto acct",
    "balance": "saldo guthaben bal kontostand",
    "transaction": "movimiento buchung txn",
    "title": "titulo titel bezeichnung name nombre nm",
    "description": "descripcion beschreibung descr",
    "first": "vorname given fname",
    "last": "nachname apellido surname lname",
    "language": "idioma sprache lang locale",
    "relation": "parentesco verwandtschaft relationship vinculo rel kinship",
    "portal": "zugang acceso access webaccess login",
    "restricted": "restriction gesperrt sperre restringido restringida court custody nocontact "
    "bloqueado blocked",
    "released": "release publicado publicada freigegeben veroeffentlicht published publish posted "
    "post visible sichtbar viewable freigabe publicacion publicar",
    "deleted": "geloescht borrado eliminado anulado void voided inactive",
    "modified": "geaendert modificado actualizado updated changed lastupdate upd",
    "date": "datum fecha tag dia day dt",
    "start": "starts begin beginning inicio beginn desde von from effective eff ab",
    "end": "ends fin ende hasta bis until exit withdraw through to thru",
    "active": "aktiv activo activa vigente current curr aktuell",
    "enrollment": "matricula inscripcion einschreibung enrolment enroll membership",
    "enrolled": "inscrito eingeschrieben matriculado",
    "period": "stunde hora block periodo hour per",
    "room": "raum aula salon sala",
    "session": "sesion sitzung",
    "placement": "zuteilung asignacion registration signup",
    "responsive": "flex flextime intervention advisory tutorial enrichment foerder",
    "possible": "max maximum maximo outof posible",
    "due": "entrega faellig abgabe",
    "excuse": "excused entschuldigt justificado justificada",
    "key": "id usi uid guid sid pk nr no num number identifier clave oid ref",
    "type": "tipo typ category categoria kategorie kind",
    "roster": "schedule stundenplan",
    "staff": "teacher docente lehrer profesor employee maestro",
    "earned": "obtenido erreicht got",
    "amount": "amt importe betrag",
    "comment": "cmt kommentar comentario bemerkung",
    "time": "ts zeit",
}
_PHRASES: Final = {
    "firstname": ("first", "title"),
    "fname": ("first", "title"),
    "vorname": ("first", "title"),
    "nombres": ("first", "title"),
    "lastname": ("last", "title"),
    "lname": ("last", "title"),
    "apellidos": ("last", "title"),
    "nachname": ("last", "title"),
    "surname": ("last", "title"),
    "schuljahr": ("school", "year"),
    "schoolyear": ("school", "year"),
    "syear": ("school", "year"),
    "gradebook": ("gradebook",),
    "nameofinstitution": ("title", "institution"),
    "reportcard": ("report", "card"),
    "foodservice": ("meal", "service"),
    "outof": ("point", "possible"),
    "isactive": ("active",),
}
_PLAIN: Final = (
    "gradebook entry card service association event posted level scale house middle item roster "
    "numeric category reason room staff bus book email phone address comment user role log audit "
    "history backup tmp temp archive final homeroom progress standard legal primary emergency "
    "institution organization education offering grading marking local unique join is has does "
    "can show sent read name of time at on by of the minute state work"
)
_PREFIXES: Final = frozenset({"tbl", "tb", "t", "sis", "dbo", "is", "has", "x"})
_NOISE: Final = frozenset({"flag", "flg", "ind", "indicator", "yn", "web", "the", "of"})
_SPLIT: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LEAST: Final = 3  # letters of a word that may be found inside a name without separators

_SAME: Final = {
    other: meaning for meaning, others in _MEANINGS.items() for other in others.split()
} | {meaning: meaning for meaning in _MEANINGS}
_KNOWN: Final = frozenset({*_SAME, *_PHRASES, *_PLAIN.split()})


@cache
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, each as the hints write it, without a prefix that says nothing."""
    found = [word for piece in _pieces(name) for word in _meanings(piece)]
    while len(found) > 1 and found[0] in _PREFIXES:
        found = found[1:]
    telling = [word for word in dict.fromkeys(found) if word not in _NOISE]
    return tuple(telling or found)


def _pieces(name: str) -> list[str]:
    plain = _without_accents(name)
    if plain.upper() == plain:
        plain = plain.lower()
    return [piece.lower() for piece in _SPLIT.findall(plain)]


def _without_accents(name: str) -> str:
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("ñ", "n")):
        name = name.replace(letter, plain).replace(letter.upper(), plain)
    apart = unicodedata.normalize("NFD", name)
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _meanings(piece: str) -> tuple[str, ...]:
    if piece in _PHRASES:
        return _PHRASES[piece]
    whole = _known(piece)
    if whole:
        return _PHRASES.get(whole, (_SAME.get(whole, whole),))
    parts = _segmented(piece)
    if parts is None:
        return (_singular(piece),)
    return tuple(word for part in parts for word in _PHRASES.get(part, (_SAME.get(part, part),)))


def _known(piece: str) -> str:
    """The word that a piece is, or is the plural of; empty where it is none."""
    for form in (piece, *_singulars(piece)):
        if form in _KNOWN:
            return form
    return ""


def _singulars(piece: str) -> tuple[str, ...]:
    if piece.endswith("ies"):
        return (piece[:-3] + "y",)
    if piece.endswith(("es", "en")):
        return (piece[:-1], piece[:-2])
    return (piece[:-1],) if piece.endswith(("s", "e", "n")) else ()


def _singular(piece: str) -> str:
    if piece.endswith("ies"):
        return piece[:-3] + "y"
    return piece[:-1] if len(piece) > 3 and piece.endswith("s") and piece[-2] != "s" else piece


@cache
def _segmented(piece: str) -> tuple[str, ...] | None:
    """A name without separators, taken apart into known words; None where that does not work."""
    if not piece:
        return ()
    for length in range(len(piece), 1, -1):
        word = _known(piece[:length]) if length >= _LEAST or piece[:length] == "id" else ""
        rest = _segmented(piece[length:]) if word else None
        if word and rest is not None:
            return (word, *rest)
    return None
