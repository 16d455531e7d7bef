"""The cast: the families of the story, written out. What their phones show stands in `acts`.

First names are unique, so everybody is called by theirs. Whoever is not listed with a phone has
never opened the app.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.wire.messages import DeviceKind
from rules.change import Kind

HIGH_SCHOOL: Final = "Hillcrest High School"
ELEMENTARY_SCHOOL: Final = "Willow Creek Elementary School"  # hides attendance from guardians


@dataclass(frozen=True, slots=True)
class Student:
    """A student, at a school, with a meal account that siblings may share."""

    name: str
    family: str
    school: str
    level: int
    meal_account: str


@dataclass(frozen=True, slots=True)
class Guardian:
    """What somebody is to a student, and their right to see that student's records."""

    name: str
    family: str
    student: str
    relation: str
    language: str = "en"
    portal: bool = True
    ends: str | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """A session of a person on a phone."""

    name: str
    phone: str
    stays: bool = True
    signed_out: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked to hear about a student: all of a kind, or only what falls below."""

    name: str
    student: str
    kind: Kind
    below: Decimal | None = None


MEAL_ACCOUNTS: Final[Mapping[str, str]] = {
    "Okafor": "31.50",
    "García": "8.00",  # the twins eat from one account
    "Patel": "20.00",
    "Walker": "12.25",
    "Mensah": "5.75",
    "Nguyễn": "18.00",
}

STUDENTS: Final = (
    Student("Chidi", "Okafor", HIGH_SCHOOL, 9, "Okafor"),
    Student("Sofía", "García", HIGH_SCHOOL, 9, "García"),
    Student("Mateo", "García", HIGH_SCHOOL, 9, "García"),
    Student("Priya", "Patel", HIGH_SCHOOL, 9, "Patel"),
    Student("Hazel", "Walker", HIGH_SCHOOL, 9, "Walker"),
    Student("Tariq", "Mensah", HIGH_SCHOOL, 9, "Mensah"),
    Student("Minh", "Nguyễn", ELEMENTARY_SCHOOL, 3, "Nguyễn"),
)

GUARDIANS: Final = (
    Guardian("Ngozi", "Okafor", "Chidi", "mother"),
    Guardian("Emeka", "Okafor", "Chidi", "father"),
    Guardian("Carmen", "García", "Sofía", "mother", language="es"),
    Guardian("Carmen", "García", "Mateo", "mother", language="es"),
    Guardian("Rafael", "García", "Sofía", "father"),
    Guardian("Rafael", "García", "Mateo", "father"),
    Guardian("Rohan", "Patel", "Priya", "father"),
    Guardian("Grace", "Walker", "Hazel", "mother"),
    Guardian("Owen", "Walker", "Hazel", "father"),
    Guardian("Nora", "Lewis", "Hazel", "grandmother", portal=False),
    Guardian("Jack", "Hall", "Hazel", "stepfather", ends="2025-06-06"),
    Guardian("Ruby", "Walker", "Hazel", "aunt"),
    Guardian("Henry", "Walker", "Hazel", "uncle"),
    Guardian("Imani", "Mensah", "Tariq", "mother"),
    Guardian("Linh", "Nguyễn", "Minh", "mother"),
)

PHONES: Final[Mapping[str, DeviceKind]] = {
    "Ngozi's iPhone": "apns",
    "Ngozi's tablet": "fcm_token",
    "Emeka's phone": "fcm_token",
    "Chidi's phone": "fcm_token",
    "Carmen's iPhone": "apns",
    "Rafael's phone": "fcm_token",
    "the García tablet": "fcm_token",
    "the Patel iPhone": "apns",
    "Hazel's phone": "fcm_token",
    "Grace's iPhone": "apns",
    "Owen's phone": "fcm_token",
    "Nora's phone": "fcm_token",
    "Jack's iPhone": "apns",
    "Henry's iPhone": "apns",
    "Imani's phone": "fcm_token",
    "Linh's phone": "fcm_token",
    "Minh's iPhone": "apns",
}
APP_REMOVED: Final = ("Henry's iPhone",)  # after he had signed in

SIGN_INS: Final = (
    SignIn("Ngozi", "Ngozi's iPhone"),
    SignIn("Ngozi", "Ngozi's tablet"),
    SignIn("Emeka", "Emeka's phone"),
    SignIn("Chidi", "Chidi's phone"),
    SignIn("Carmen", "Carmen's iPhone"),
    SignIn("Rafael", "Rafael's phone"),
    SignIn("Sofía", "the García tablet"),
    SignIn("Mateo", "the García tablet"),
    SignIn("Rohan", "the Patel iPhone"),
    SignIn("Priya", "the Patel iPhone"),
    SignIn("Hazel", "Hazel's phone"),
    SignIn("Grace", "Grace's iPhone", stays=False),
    SignIn("Owen", "Owen's phone", signed_out=True),
    SignIn("Nora", "Nora's phone"),
    SignIn("Jack", "Jack's iPhone"),
    SignIn("Henry", "Henry's iPhone"),
    SignIn("Imani", "Imani's phone"),
    SignIn("Linh", "Linh's phone"),
    SignIn("Minh", "Minh's iPhone"),
)

WISHES: Final = (
    Wish("Ngozi", "Chidi", Kind.ASSIGNMENT, below=Decimal(70)),
    Wish("Ngozi", "Chidi", Kind.GRADE, below=Decimal(80)),
    Wish("Ngozi", "Chidi", Kind.ATTENDANCE),
    Wish("Emeka", "Chidi", Kind.ASSIGNMENT),
    Wish("Chidi", "Chidi", Kind.ASSIGNMENT),
    Wish("Chidi", "Chidi", Kind.GRADE),
    Wish("Chidi", "Chidi", Kind.ATTENDANCE),
    Wish("Chidi", "Chidi", Kind.RESPONSIVE_SCHEDULE),
    Wish("Carmen", "Sofía", Kind.ASSIGNMENT, below=Decimal(80)),
    Wish("Carmen", "Mateo", Kind.ASSIGNMENT, below=Decimal(80)),
    Wish("Carmen", "Sofía", Kind.MEAL_BALANCE, below=Decimal(5)),
    Wish("Carmen", "Mateo", Kind.MEAL_BALANCE, below=Decimal(5)),
    Wish("Rafael", "Sofía", Kind.MEAL_BALANCE, below=Decimal(2)),
    Wish("Rafael", "Mateo", Kind.MEAL_BALANCE, below=Decimal(2)),
    Wish("Sofía", "Sofía", Kind.ASSIGNMENT),
    Wish("Sofía", "Sofía", Kind.MEAL_BALANCE),
    Wish("Mateo", "Mateo", Kind.MEAL_BALANCE),
    Wish("Rohan", "Priya", Kind.ASSIGNMENT),
    Wish("Rohan", "Priya", Kind.GRADE),
    Wish("Rohan", "Priya", Kind.ATTENDANCE),
    Wish("Rohan", "Priya", Kind.RESPONSIVE_SCHEDULE),
    Wish("Priya", "Priya", Kind.ASSIGNMENT),
    Wish("Hazel", "Hazel", Kind.ATTENDANCE),
    Wish("Grace", "Hazel", Kind.ASSIGNMENT),
    Wish("Owen", "Hazel", Kind.ASSIGNMENT),
    Wish("Nora", "Hazel", Kind.ASSIGNMENT),
    Wish("Jack", "Hazel", Kind.ASSIGNMENT),
    Wish("Ruby", "Hazel", Kind.ASSIGNMENT),
    Wish("Henry", "Hazel", Kind.ASSIGNMENT),
    Wish("Imani", "Tariq", Kind.ASSIGNMENT),
    Wish("Linh", "Minh", Kind.ATTENDANCE),
    Wish("Minh", "Minh", Kind.ATTENDANCE),
)
