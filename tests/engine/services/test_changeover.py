"""The installation goes on with another database of the SIS, as some have one for each year."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.config import Config, DatabaseSettings, KeysSettings, SourceSettings
from engine.errors import Misconfigured, Unprocessable
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.services import capture, changeover, directory, people, settings, why
from engine.services.actor import Actor
from engine.services.install import install, require_installed
from engine.store import decisions
from engine.store.source import current
from engine.wire.messages import Token
from rules.change import Change, Kind, PersonId, StudentId
from rules.privacy import Level
from tests.district import ADA, FATHER, QUIZ_SCORE, build_sis
from tests.servers import PostgresServer

WHO = PersonId(FATHER)
SOMEBODY = Actor("a test", utc_now())
ABOUT = StudentId(ADA)


class Installation:
    """One installation, whose [source] url is changed from one database to another."""

    def __init__(self, folder: Path, sis: str) -> None:
        self._folder = folder
        self._open = ExitStack()
        self.here = self.hear(sis)

    def hear(self, sis: str) -> District:
        """Let [source] url name a database, and begin again with the same of ours."""
        config = Config(
            database=DatabaseSettings(url=f"sqlite:///{self._folder / 'schoolbell.db'}"),
            source=SourceSettings(url=sis),
            keys=KeysSettings(file=self._folder / "keys"),
        )
        self.here = self._open.enter_context(closing(District(config)))
        return self.here

    def settle(self) -> None:
        """Install; the father signs in and wants to hear of Ada."""
        list(install(self.here))
        settings.enable(self.here.database, SOMEBODY)
        settings.set_privacy(self.here.database, SOMEBODY, Level.FULL)
        token = Token("fcm_token", "token-of-the-father-s-phone")
        people.sign_in(self.here.database, self.here.keyring, WHO, token, utc_now())
        people.subscribe(self.here.database, WHO, ABOUT, Kind.ASSIGNMENT)

    def score(self, points: float) -> None:
        """A teacher scores Ada's quiz in the database that we hear."""
        with self.here.source.database.write() as connection:
            connection.execute(
                text("UPDATE score SET points = :points WHERE score_id = :id"),
                {"points": points, "id": int(QUIZ_SCORE)},
            )

    def captured(self) -> Sequence[Change]:
        """What the outbox has, which is relayed by this."""
        outbox = self.here.outbox
        assert outbox.acquire()
        found = outbox.read(100)
        if found:
            outbox.mark_relayed(found)
        outbox.release()
        return found

    def told(self, changes: Sequence[Change]) -> list[str]:
        """The bodies of what evaluate makes of them."""
        return [push.body for push in self.here.evaluate(changes)]

    def records(self) -> set[str]:
        """The records about which anything was decided."""
        with self.here.database.read() as connection:
            ids = connection.execute(text("SELECT change_id FROM schoolbell_decisions")).scalars()
            found = decisions.of_changes(connection, list(ids))
        return {row.place.record for row in found if row.place}

    def close(self) -> None:
        self._open.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def sis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes a SIS of the small district by its name: last year's, this year's; the same ids."""
    made = []

    def make(name: str) -> str:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / name}.db"
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            made.append(f"{name}_{len(made)}_{abs(hash(tmp_path)) % 10**9}")
            url = server.create_database(made[-1])
        build_sis(url)
        return url

    yield make
    for name in made:
        request.getfixturevalue("postgres_server").drop_database(name)


@pytest.fixture
def installation(sis: Callable[[str], str], tmp_path: Path) -> Iterator[Installation]:
    """It has told of Ada's quiz of last year."""
    installation = Installation(tmp_path, sis("dst2526"))
    installation.settle()
    installation.score(18)
    assert installation.told(installation.captured()) == ["Ada scored 18/20 (was 17/20)."]
    yield installation
    installation.close()


def test_another_database_is_not_taken_for_the_one_before(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    other = installation.hear(sis("dst2627"))

    for act in (
        lambda: require_installed(other),
        lambda: list(install(other)),
        lambda: capture.install(other),
    ):
        with pytest.raises(Misconfigured, match="another database than before") as refused:
            act()
        assert "dst2526" in refused.value.problem
        assert "dst2627" in refused.value.problem
        assert "source change" in refused.value.remedy


def test_a_record_of_the_new_database_is_another_one(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    installation.hear(sis("dst2627"))

    said = list(changeover.change(installation.here, same_records=False))
    require_installed(installation.here)
    installation.score(18)

    assert said[0].startswith("The directory lists 2 schools")
    assert installation.told(installation.captured()) == ["Ada scored 18/20 (was 17/20)."]
    assert installation.records() == {QUIZ_SCORE, f"2:{QUIZ_SCORE}"}


def test_nobody_is_told_of_what_the_new_database_holds(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    installation.hear(sis("dst2627"))
    list(changeover.change(installation.here, same_records=False))

    assert installation.captured() == []


def test_what_the_old_database_captured_is_left(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    installation.score(3)
    waiting = installation.captured()
    installation.hear(sis("dst2627"))
    list(changeover.change(installation.here, same_records=False))

    assert len(waiting) == 1
    assert installation.told(waiting) == []
    assert installation.records() == {QUIZ_SCORE}


def test_what_a_copy_of_the_old_database_brought_along_is_left(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "dst2526.db", tmp_path / "dst2627.db"
    build_sis(f"sqlite:///{old}")
    installation = Installation(tmp_path, f"sqlite:///{old}")
    installation.settle()
    installation.score(18)
    installation.here.source.database.close()
    shutil.copy(old, new)
    installation.hear(f"sqlite:///{new}")
    list(changeover.change(installation.here, same_records=False))

    assert installation.captured() == []
    installation.score(19)
    assert installation.told(installation.captured()) == ["Ada scored 19/20 (was 18/20)."]
    installation.close()


def test_positions_go_on_above_all_before(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    installation.score(3)
    [before] = installation.captured()
    installation.hear(sis("dst2627"))
    list(changeover.change(installation.here, same_records=False))
    installation.score(3)
    [after] = installation.captured()

    with installation.here.database.read() as connection:
        era = current(connection).era
    assert before.position <= era.since < after.position


def test_settings_sign_ins_and_devices_stay(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    before = why.standing(
        installation.here.database, ABOUT, WHO, utc_now(), installation.here.today(utc_now())
    )
    installation.hear(sis("dst2627"))
    list(changeover.change(installation.here, same_records=False))
    after = why.standing(
        installation.here.database, ABOUT, WHO, utc_now(), installation.here.today(utc_now())
    )

    assert after == before


def test_a_sis_that_only_moved_has_the_records_that_were_known(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    installation.hear(sis("elsewhere"))
    list(changeover.change(installation.here, same_records=True))
    require_installed(installation.here)
    installation.score(12)
    installation.told(installation.captured())

    assert installation.records() == {QUIZ_SCORE}


def test_a_third_year_follows_the_second(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    for year in ("dst2627", "dst2728"):
        installation.hear(sis(year))
        list(changeover.change(installation.here, same_records=False))
    installation.score(18)
    installation.told(installation.captured())

    assert installation.records() == {QUIZ_SCORE, f"3:{QUIZ_SCORE}"}


def test_the_engine_s_own_database_may_be_moved_with_the_sis_in_it(tmp_path: Path) -> None:
    old, new = tmp_path / "a.db", tmp_path / "b.db"
    build_sis(f"sqlite:///{old}")
    for file in (old, new):
        config = Config(
            database=DatabaseSettings(url=f"sqlite:///{file}"),
            keys=KeysSettings(file=tmp_path / "keys"),
        )
        with closing(District(config)) as here:
            list(install(here))
        if file is old:
            shutil.copy(old, new)


def test_a_database_that_lists_too_few_changes_nothing(
    installation: Installation, sis: Callable[[str], str]
) -> None:
    with installation.here.source.database.write() as connection:
        for number in range(100, 140):
            connection.execute(
                text(
                    "INSERT INTO person (person_id, first_name, last_name) VALUES (:id, 'A', 'B')"
                ),
                {"id": number},
            )
    directory.sync(installation.here.directory)
    installation.hear(sis("dst2627"))

    with pytest.raises(Unprocessable, match="lists 9 people, where 49 are known") as refused:
        list(changeover.change(installation.here, same_records=False))
    assert "source change" in refused.value.remedy
    with pytest.raises(Misconfigured, match="another database than before"):
        require_installed(installation.here)
    list(changeover.change(installation.here, same_records=False, may_shrink=True))
    require_installed(installation.here)
