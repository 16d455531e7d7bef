"""The families of the reference SIS: who they are, and who may see what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Guardian:
    """A grown-up of a family, with the same relation and right to each of its children."""

    first_name: str
    last_name: str
    language: str
    relation: str
    portal: bool = True
    ends: str | None = None
    restricted: bool = False

    @property
    def at_home(self) -> bool:
        """Whether they live with the children."""
        return self.portal and self.ends is None and not self.restricted


@dataclass(frozen=True, slots=True)
class Family:
    """Children who share their guardians, and perhaps one meal account.

    Of one that *lives_apart* each guardian has a home of their own, and the children in each.
    """

    last_name: str
    children: tuple[str, ...]
    guardians: tuple[Guardian, ...]
    shares_account: bool
    lives_apart: bool = False


@dataclass(frozen=True, slots=True)
class Culture:
    """Names that go together, and the languages that such guardians asked for."""

    weight: int
    languages: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


RIGHT_STARTS: Final = "2024-08-01"
RIGHT_ENDED: Final = "2026-09-30"

# The family that scenarios are about: every sort of right that a guardian can have.
REYES: Final = Family(
    last_name="Reyes",
    children=("Ada", "Ben"),
    guardians=(
        Guardian("Lucía", "Reyes", "es", "mother"),
        Guardian("David", "Reyes", "en", "father"),
        Guardian("Carmen", "Ortega", "es", "grandmother", portal=False),
        Guardian("Mark", "Hale", "en", "stepfather", ends=RIGHT_ENDED),
        Guardian("Tomás", "Reyes", "es", "uncle", restricted=True),
    ),
    shares_account=True,
)

CULTURES: Final = (
    Culture(
        weight=10,
        languages=("en",),
        first_names=(
            *("Emma", "Liam", "Olivia", "Noah", "Charlotte", "Mason", "Grace", "Henry"),
            *("Zoë", "Jack", "Ruby", "Samuel", "Hazel", "Owen", "Nora", "Caleb", "Mary-Jane"),
        ),
        last_names=(
            *("Smith", "Johnson", "Brown", "Miller", "Davis", "Wilson", "Taylor", "Clark"),
            *("O'Connor", "McDonald", "Lewis", "Walker", "Hall", "Young", "Smith-Jones"),
        ),
    ),
    Culture(
        weight=6,
        languages=("es", "es", "en"),
        first_names=(
            *("Sofía", "Mateo", "Valentina", "Santiago", "Camila", "Diego", "Lucía", "José"),
            *("Ximena", "Andrés", "María", "Ángel", "Begoña", "Raúl"),
        ),
        last_names=(
            *("García", "Hernández", "Martínez", "López", "Muñoz", "Peña", "Ramírez"),
            *("Núñez", "Gómez", "de la Cruz", "Ibáñez", "Vázquez"),
        ),
    ),
    Culture(
        weight=2,
        languages=("en",),
        first_names=("Amara", "Chidi", "Ngozi", "Kwame", "Zuberi", "Imani", "Tariq", "Ayọ̀"),
        last_names=("Okafor", "Mensah", "Adébáyọ̀", "Nwosu", "Diallo", "Washington", "Abebe"),
    ),
    Culture(
        weight=2,
        languages=("en", "vi"),
        first_names=("Minh", "Linh", "Đức", "Hương", "Tuấn", "Ngọc", "Phúc"),
        last_names=("Nguyễn", "Trần", "Lê", "Phạm", "Đặng"),
    ),
    Culture(
        weight=2,
        languages=("en", "zh"),
        first_names=("伟", "芳", "秀英", "子涵", "浩然", "美玲"),
        last_names=("王", "李", "张", "刘", "欧阳"),
    ),
    Culture(
        weight=1,
        languages=("en", "ko"),
        first_names=("서연", "민준", "지우", "하은"),
        last_names=("김", "이", "박", "최"),
    ),
    Culture(
        weight=2,
        languages=("en", "ar"),
        first_names=("محمد", "فاطمة", "ليلى", "يوسف", "مريم", "عمر"),
        last_names=("الأحمد", "حداد", "منصور", "خليل"),
    ),
    Culture(
        weight=1,
        languages=("en",),
        first_names=("נועה", "אורי", "תמר", "איתן"),
        last_names=("כהן", "לוי", "פרץ"),
    ),
    Culture(
        weight=1,
        languages=("en", "uk"),
        first_names=("Олена", "Тарас", "Софія", "Богдан", "Юлія"),
        last_names=("Шевченко", "Коваленко", "Бондар"),
    ),
    Culture(
        weight=2,
        languages=("en",),
        first_names=("आरव", "अनन्या", "Priya", "Arjun", "मीरा", "Rohan"),
        last_names=("शर्मा", "Patel", "सिंह", "Iyer"),
    ),
)

_WEIGHTS: Final = [culture.weight for culture in CULTURES]
_RELATIONS: Final = ("mother", "father", "grandmother", "stepfather", "aunt")


def a_family(rng: Random, most_children: int = 3) -> Family:
    """Draw a family with at most *most_children* children."""
    culture = rng.choices(CULTURES, _WEIGHTS)[0]
    last_name = rng.choice(culture.last_names)
    children = min(rng.choices((1, 2, 3), (55, 33, 12))[0], most_children)
    parents = rng.choices((1, 2), (30, 70))[0]
    family = Family(
        last_name=last_name,
        children=tuple(rng.sample(culture.first_names, children)),
        guardians=tuple(
            _a_guardian(rng, culture, last_name, relation)
            for relation in rng.sample(_RELATIONS, parents, counts=(40, 35, 8, 8, 9))
        ),
        shares_account=rng.random() < 0.7,
    )
    at_home = [guardian for guardian in family.guardians if guardian.at_home]
    return replace(family, lives_apart=len({one.last_name for one in at_home}) > 1)


def _a_guardian(rng: Random, culture: Culture, last_name: str, relation: str) -> Guardian:
    """Most may see everything; some may not, may no longer, or must not."""
    chance = rng.random()
    return Guardian(
        first_name=rng.choice(culture.first_names),
        last_name=last_name if rng.random() < 0.8 else rng.choice(culture.last_names),
        language=rng.choice(culture.languages),
        relation=relation,
        portal=chance >= 0.08,
        ends=RIGHT_ENDED if 0.08 <= chance < 0.11 else None,
        restricted=0.11 <= chance < 0.13,
    )
