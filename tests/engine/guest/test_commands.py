"""The commands beside a SIS that is another's, with the rights that `capture grants` prints."""

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from engine.trial.demo.toml import as_toml
from tests.district import build_sis
from tests.engine.cli.commands import Bell
from tests.engine.guest.school import BELL, SIS, School


@pytest.fixture
def bell(school: School, tmp_path: Path) -> Bell:
    """The reference SIS in the owner's schema; our own database is a file."""
    school.administrator.write(
        f"ALTER ROLE {SIS} IN DATABASE {school.name} SET search_path = sis",
        f"ALTER ROLE {BELL} IN DATABASE {school.name} SET search_path = sis",
    )
    school.owner.write("DROP TABLE score, kid")
    build_sis(school.url_of(SIS))
    (tmp_path / "schoolbell.toml").write_text(
        as_toml(
            {
                "district": {"id": "springfield"},
                "database": {"url": "sqlite:///bell.db"},
                "source": {"url": school.url_of(BELL), "definition": "reference"},
            }
        )
    )
    return Bell(tmp_path)


def test_from_the_owners_grants_to_nothing_left(school: School, bell: Bell) -> None:
    printed = bell("capture", "grants", "--role", BELL)
    assert "GRANT SELECT, TRIGGER ON sis.score TO bell;" in printed
    assert "GRANT SELECT ON sis.course TO bell;" in printed
    assert "--" not in printed
    school.owner.write(*printed.splitlines())

    said = bell("install")
    assert "Changes of 14 tables are captured" in said
    assert "6 facts of assignment" in said
    assert str(make_url(school.url).password) not in said
    assert bell.run("capture", "check").exit_code == 0

    bell("capture", "remove", "--yes")
    assert school.owner.ask("SELECT FROM pg_trigger WHERE tgname LIKE 'schoolbell%'") == []


def test_what_somebody_made_later_is_told_by_check_and_by_the_doctor(
    school: School, bell: Bell
) -> None:
    school.owner.write(*bell("capture", "grants", "--role", BELL).splitlines())
    bell("install")
    school.administrator.write("CREATE PUBLICATION news FOR ALL TABLES")

    checked, examined = bell.run("capture", "check"), bell.run("doctor")

    assert (checked.exit_code, examined.exit_code) == (1, 1)
    for said in (checked.stdout, examined.stdout):
        assert "publication news is FOR ALL TABLES" in " ".join(said.split())


def test_a_file_has_no_roles(tmp_path: Path) -> None:
    bell = Bell.with_sis_only(tmp_path)
    assert bell("capture", "grants", "--role", BELL).startswith("-- Nothing")
