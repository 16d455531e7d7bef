"""What `install` makes on PostgreSQL and RabbitMQ: the first push finds everything in place."""

from pathlib import Path

from sqlalchemy import text

from engine.trial.phones.phones import Phones
from tests.site import production_site

STUDENTS = 300


def test_what_is_decided_from_the_first_day_on_has_partitions_of_its_own(tmp_path: Path) -> None:
    """Else the first week would stand in the rest, where nothing can be dropped."""
    with (
        Phones(tmp_path) as phones,
        production_site(STUDENTS, phones.settings) as site,
        site.running(),
    ):
        changes = site.touch_scores(1, 1_500).rows
        site.wait_until_answered(changes)
        with site.district.database.read() as connection:
            in_rest = [
                connection.execute(text(f"SELECT count(*) FROM schoolbell_{name}_rest")).scalar()
                for name in ("decisions", "facts", "outcomes")
            ]

        assert site.count("outcomes") > 0
        assert in_rest == [0, 0, 0]
