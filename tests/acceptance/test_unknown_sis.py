"""From a database that nobody here knows to the phones, by the commands that a technician types.

The SIS is made up: keys of three columns, -1 for excused, marks that are shown from a moment on and
that are deleted, flags as Y and N. What a technician changes in the draft stands in EDITS.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import inspect, text

from engine.database import Database
from engine.trial.phones.phones import Phones
from tests.site import toml

FOLDER: Final = Path(__file__).parent / "unknown_sis"
MOTHER, UNCLE, GRANDMOTHER = "34", "35", "36"
ADA = "41"

# In the order of the file: what the draft says, and what a technician makes of it.
_MEANS: Final = "means: present, absent, absent_excused, tardy, tardy_excused, left_early"
EDITS: Final = (
    ('words = { "-1" = "<FILL IN: what -1 means, like excused>" }',
     'ignore = [-1]\ndeleted = "withdrawn"'),
    (f"<FILL IN: what A {_MEANS}>", "absent"),
    (f"<FILL IN: what E {_MEANS}>", "absent_excused"),
    (f"<FILL IN: what T {_MEANS}>", "tardy"),
)  # fmt: skip

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Technician:
    """Somebody at a terminal in an empty folder, beside a database that they may read."""

    folder: Path
    sis: str
    phones: Phones

    def type(self, *words: str, answer: str = "") -> str:
        """Type a command that goes well; what it prints."""
        done = subprocess.run(
            self._command(*words), input=answer, capture_output=True, text=True,
            cwd=self.folder, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self) -> Iterator[None]:
        """The engine runs."""
        with (self.folder / "run.log").open("wb") as log:
            process = subprocess.Popen(self._command("run"), cwd=self.folder, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def write(self, *statements: str, **values: object) -> None:
        """The school's own program writes, in one transaction."""
        with closing(Database(self.sis)) as database, database.write() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def texts(self) -> list[str]:
        """Everything that any phone was sent, in order: whose phone, and the text."""
        page = self.phones.devices.received()
        return [
            f"{one.token.removeprefix(_phone(''))}: {one.title} | {one.body}"
            for one in page.received
        ]

    def wait_for(self, *texts: str) -> None:
        """Wait until the phones were sent these texts at least."""
        limit = time.monotonic() + 90
        while not set(texts) <= set(self.texts()):
            assert time.monotonic() < limit, f"came: {self.texts()}"
            time.sleep(0.2)

    def wait_until_quiet(self) -> None:
        """Wait until nothing that was written is on its way any more."""
        limit = time.monotonic() + 90
        while True:
            now = json.loads(self.type("status", "--json"))
            if not now["waiting_rows"] and not any(one["ready"] for one in now["queues"].values()):
                return
            assert time.monotonic() < limit, now
            time.sleep(0.2)

    def _command(self, *words: str) -> Sequence[str]:
        return (sys.executable, "-m", "engine.cli", *words)


@pytest.fixture(params=["sqlite", "postgresql"])
def technician(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Technician]:
    """The made-up SIS, and phones that are none."""
    url: str = (
        f"sqlite:///{tmp_path / 'sis.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    with Phones(tmp_path / "phones") as phones:
        here = Technician(tmp_path, url, phones)
        for script in ("schema.sql", "data.sql"):
            statements = (FOLDER / script).read_text("utf-8").split(";\n")
            here.write(*(one for one in statements if one.strip()))
        yield here


def _edited(draft: str) -> str:
    for written, better in EDITS:
        assert draft.count(written) == 1, f"{draft.count(written)} times in the draft: {written}"
        draft = draft.replace(written, better)
    return draft


def test_from_a_draft_to_the_phones(technician: Technician) -> None:
    here = technician
    _draft_and_edit(here)
    _try(here)
    _install(here)
    _ring(here)


def _draft_and_edit(here: Technician) -> None:
    shown = here.type("source", "draft", "--url", here.sis, "--out", "drafted.toml")
    for table in ("stu_mark", "stu_absence", "lunch_acct", "stu_contact"):
        assert f" {table}\n" in shown
    drafted = (here.folder / "drafted.toml").read_text("utf-8")
    for private in ("Ada", "Reyes", "example.org", "was ill"):
        assert private not in drafted
    (here.folder / "our-sis.toml").write_text(_edited(drafted), "utf-8")
    (here.folder / "schoolbell.toml").write_text(_configuration(here), "utf-8")


def _configuration(here: Technician) -> str:
    return toml(
        {
            "database": {"url": "sqlite:///bell.db"},
            "source": {"definition": "our-sis.toml", "url": here.sis},
            **here.phones.settings,
        }
    )


def _try(here: Technician) -> None:
    """Before anything is installed, it is seen who would be told what."""
    before = _tables(here)
    shown = here.type("source", "try", "--last", "4")
    assert (
        "  stu_no 41, sec_no 71, asgn_seq 1\n"
        "    guardian: Biology 9: Quiz 1 | (student) scored 17/20.\n"
        "    student: Biology 9: Quiz 1 | You scored 17/20.\n"
        "    told      1 guardian, the student\n"
        "    not told  1 guardian whom a restriction keeps out\n"
        "    not told  1 guardian without portal right\n"
    ) in shown
    assert _tables(here) == before


def _tables(here: Technician) -> set[str]:
    with closing(Database(here.sis)) as database, database.read() as connection:
        found = inspect(connection)
        return {
            table
            for schema in found.get_schema_names()
            for table in found.get_table_names(schema)
            if schema != "information_schema"
        }


def _install(here: Technician) -> None:
    here.type("install")
    here.type("enable")
    here.type("privacy", "full", answer="y\n")
    for person in (MOTHER, UNCLE, GRANDMOTHER):
        here.type("sign-in", "--person", person, "--kind", "fcm_token", "--token", _phone(person))
        for kind in ("assignment", "attendance"):
            here.type("subscribe", "--person", person, "--student", ADA, "--kind", kind)


def _phone(person: str) -> str:
    return f"the-phone-of-person-{person}"


def _ring(here: Technician) -> None:
    """A school morning: what the mother reads, and that nobody else reads anything."""
    told = (
        "34: Biology 9: Quiz 1 | Ada scored 12/20 (was 17/20).",
        "34: Biology 9: Quiz 1 | Correction: Ada's score, 12/20, was withdrawn.",
        "34: Attendance: Ada | Ada was marked absent in Biology 9 (period 3) on 2026-11-23.",
        "34: Biology 9: Essay | Ada scored 9/10.",
        "34: Biology 9: Unit test | Ada scored 61.5/100.",
    )
    with here.running():
        here.write("UPDATE stu_mark SET mark_pts = 12 WHERE stu_no = 41 AND asgn_seq = 1")
        here.wait_for(told[0])
        here.write("DELETE FROM stu_mark WHERE stu_no = 41 AND asgn_seq = 1")
        here.wait_for(told[1])
        hidden = "UPDATE stu_mark SET mark_pts = 61 WHERE stu_no = 41 AND asgn_seq = 2"
        excused = "INSERT INTO stu_mark (stu_no, sec_no, asgn_seq, mark_pts) VALUES (41, 71, 3, -1)"
        here.write(hidden, excused)
        here.write(
            "INSERT INTO stu_absence (stu_no, abs_dt, per_no, sec_no, abs_cd)"
            " VALUES (41, '2026-11-23', 3, 71, 'A')"
        )
        here.write("UPDATE stu_mark SET mark_pts = 9 WHERE stu_no = 41 AND asgn_seq = 3")
        here.wait_for(*told[:-1])
        assert told[-1] not in here.texts()
        soon = (datetime.now(UTC) + timedelta(seconds=5)).strftime("%Y-%m-%d %H:%M:%S")
        here.write("UPDATE asgn SET publish_dt = :soon WHERE asgn_seq = 2", soon=soon)
        here.write("UPDATE stu_mark SET mark_pts = 61.5 WHERE stu_no = 41 AND asgn_seq = 2")
        here.wait_for(told[-1])
        here.wait_until_quiet()
    assert sorted(here.texts()) == sorted(told)
