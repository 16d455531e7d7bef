"""The life of a notification and of a push is drawn as the code lives it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from engine.secrets.keyring import Key, Keyring
from engine.store.tables import due, outcomes
from engine.wire.messages import Push
from rules.identity import parts_of
from rules.notification import STATES_AFTER
from rules.outcomes import Verdict
from tests.builders import NOW, an_outcome
from tests.district import (
    FATHER,
    KEYRING,
    KEYS,
    LOST_AFTER,
    MOTHER,
    TOKENS,
    District,
    SqliteDistricts,
    scored,
)

PAGE: Final = Path(__file__).parents[2] / "docs" / "life-of-a-notification.md"
START: Final = "[*]"


def drawn(heading: str) -> set[tuple[str, str]]:
    """The arrows of the drawing under a heading."""
    part = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^    (\S+) --> (\w+):", part, re.MULTILINE))


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    (tmp_path / "original").mkdir()
    found = District(SqliteDistricts(tmp_path / "original").copy_to(tmp_path))
    yield found
    found.database.close()


def test_the_states_of_a_notification_are_those_of_the_rules() -> None:
    begun = {(START, "held"), (START, "told")}

    assert drawn("A notification") - begun == {
        (state.value, after.value) for state, those in STATES_AFTER.items() for after in those
    }


class Watched:
    """The pushes to one phone, and every move from state to state that was seen."""

    def __init__(self, district: District) -> None:
        self.district = district
        self.moves: set[tuple[str, str]] = set()
        self._was: dict[str, str] = {}

    def look(self) -> None:
        """Note where every push is now."""
        for push, state in self._states().items():
            before = self._was.get(push, START)
            if state != before:
                self.moves.add((before, state))
            self._was[push] = state

    def _states(self) -> dict[str, str]:
        found = {
            f"{row.change}.{device}": "published"
            for row in self.district.decided()
            for person in row.people
            for device in person.devices
        }
        said = select(outcomes.c.origin_id, outcomes.c.device_id, outcomes.c.verdict)
        for origin, device, verdict in self.district.rows(said.order_by(outcomes.c.attempt)):
            found[f"{origin}.{device}"] = str(verdict)
        planned = select(due.c.origin_id, due.c.device_id, due.c.published_at)
        for origin, device, published_at in self.district.rows(planned):
            found[f"{origin}.{device}"] = "planned" if published_at is None else "published"
        return found


def to_mother(watched: Watched, position: int) -> Push:
    """Something is told to her, and is on its way."""
    district = watched.district
    of_mother = district.devices()[MOTHER]
    pushes = district.evaluate(scored(position, position + 1, position=position))
    watched.look()
    return next(push for push in pushes if parts_of(push.id) == (push.id[:36], of_mother))


def test_a_push_lives_as_it_is_drawn(district: District) -> None:
    watched = Watched(district)

    def record(push: Push, verdict: Verdict, **more: object) -> None:
        district.record([an_outcome(push, verdict, at=district.clock.now, **more)])
        watched.look()

    def again() -> None:
        district.clock.forward(timedelta(minutes=2))
        district.due()
        watched.look()

    first = to_mother(watched, 1)
    record(first, Verdict.DEFERRED, reason="UNAVAILABLE")
    again()
    record(first, Verdict.ACCEPTED, attempt=2)

    second = to_mother(watched, 2)
    record(second, Verdict.DEFERRED, reason="UNAVAILABLE")
    third = to_mother(watched, 3)
    again()  # the second is superseded
    record(third, Verdict.ACCEPTED)
    district.clock.forward(timedelta(seconds=5))
    record(second, Verdict.ACCEPTED)  # somebody sent it all the same
    again()

    refused = to_mother(watched, 4)
    record(refused, Verdict.REFUSED, reason="PayloadTooLarge")
    lost = to_mother(watched, 5)
    district.clock.forward(LOST_AFTER * 2)
    district.plan_lost()
    watched.look()
    gone = to_mother(watched, 6)
    record(gone, Verdict.UNREGISTERED, reason="UNREGISTERED")
    assert lost.id != gone.id

    district.sign_in(MOTHER, TOKENS[MOTHER])
    damage_addresses(district)
    watched.look()

    assert watched.moves == drawn("A push")


def damage_addresses(district: District) -> None:
    """One device's address was tampered with, and one was sealed with a key that is not here."""
    other = Key("0badbabe", NOW, bytes(range(1, 33)))
    elsewhere = Keyring(lambda: (other, *KEYS))
    hers, his = (int(district.devices()[person]) for person in (MOTHER, FATHER))
    for device, sealed in (
        (hers, KEYRING.seal(b"another-phone", "token 999")),
        (his, elsewhere.seal(b"a-new-phone", f"token {his}")),
    ):
        with district.database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE schoolbell_devices SET token_sealed = ? WHERE id = ?", (sealed, device)
            )
    district.evaluate(scored(7, 8, position=7))
