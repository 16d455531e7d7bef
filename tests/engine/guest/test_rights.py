"""The least rights suffice, and an ordinary role of the SIS can do nothing with what is ours."""

from collections.abc import Sequence

import psycopg
import pytest

from engine.dialects.dialect import Owner
from engine.errors import Misconfigured
from engine.sources.capture import Capture
from engine.sources.source import SqlSource
from engine.sources.tables_read import tables_read
from tests.engine.guest.school import APPLICATION, BELL, DEFINITION, School
from tests.engine.sources.sis import a_definition, a_watch

OURS = "schoolbell_capture_district"
NOBODY = Owner("district", "")


def granted(school: School) -> Sequence[str]:
    """What `schoolbell capture grants` prints, asked by a user who has no right yet."""
    source = SqlSource(school.database(), DEFINITION)
    read = {table for query in source.statements for table in tables_read(query)}
    return Capture(source.database, DEFINITION, NOBODY).grants(BELL, read).statements


@pytest.fixture
def guest(school: School) -> School:
    """The owner has run what `grants` printed."""
    school.owner.write(*granted(school))
    return school


@pytest.fixture
def installed(guest: School) -> School:
    guest.capture().install()
    return guest


def test_grants_name_exactly_what_the_definition_needs(school: School) -> None:
    assert granted(school) == [
        f"GRANT CONNECT, CREATE ON DATABASE {school.name} TO bell;",
        "GRANT USAGE ON SCHEMA sis TO bell;",
        "GRANT SELECT ON sis.kid TO bell;",
        "GRANT SELECT, TRIGGER ON sis.score TO bell;",
    ]


def test_without_them_install_says_which_right_is_missing(school: School) -> None:
    with pytest.raises(Misconfigured, match=r"permission denied"):
        school.capture().install()


def test_install_check_and_the_queries_work_with_exactly_those(guest: School) -> None:
    capture = guest.capture()
    assert [one.state for one in capture.install()] == ["in place"]
    assert capture.concerns() == []
    broken = [one.query for one in SqlSource(guest.database(), DEFINITION).broken()]
    assert "[facts.score]" not in broken
    guest.application.write("INSERT INTO score VALUES (1, 17, NULL, 1)")
    assert [change.after for change in guest.changes()] == [{"points": 17}]


def test_remove_leaves_nothing_though_the_tables_are_anothers(installed: School) -> None:
    removed = installed.capture().remove()
    assert sorted(removed) == ["schoolbell_district_score", "schoolbell_district_score.truncate"]
    assert installed.owner.ask("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    assert installed.owner.ask(f"SELECT FROM pg_namespace WHERE nspname = '{OURS}'") == []


def test_a_watch_that_moves_to_another_table_takes_its_trigger_along(installed: School) -> None:
    installed.owner.write(
        "CREATE TABLE mark (id integer PRIMARY KEY, points numeric)",
        f"GRANT SELECT, TRIGGER ON mark TO {BELL}",
    )
    moved = a_definition(a_watch(table="sis.mark"))
    assert [one.state for one in installed.capture(moved).install()] == ["in place"]
    assert installed.owner.ask(
        "SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
        " AND tgname LIKE 'schoolbell%'"
    ) == [("mark",), ("mark",)]


def test_a_schema_that_the_owner_made_for_us_needs_no_right_on_the_database(
    school: School,
) -> None:
    school.owner.write(*(one for one in granted(school) if " DATABASE " not in one))
    school.administrator.write(f"CREATE SCHEMA {OURS} AUTHORIZATION {BELL}")
    assert [one.state for one in school.capture().install()] == ["in place"]


@pytest.mark.parametrize("made", ["schema", "table"])
def test_a_schema_that_somebody_made_in_our_name_is_refused(guest: School, made: str) -> None:
    """Its owner could put a table of their own in the place of our outbox."""
    guest.administrator.write(
        f"CREATE SCHEMA {OURS} AUTHORIZATION {APPLICATION if made == 'schema' else BELL}",
        f"GRANT ALL ON SCHEMA {OURS} TO {BELL}, {APPLICATION}",
    )
    guest.application.write(f"CREATE TABLE {OURS}.notes (id integer)")
    with pytest.raises(Misconfigured, match=f"{OURS}.*another role's"):
        guest.capture().install()


# An ordinary role of the SIS


@pytest.mark.parametrize(
    "act",
    [
        f"SELECT * FROM {OURS}.outbox",
        f"SELECT * FROM {OURS}.cursor",
        f"INSERT INTO {OURS}.outbox (watch, key) VALUES ('score', '1')",
        f"DELETE FROM {OURS}.outbox",
        f"TRUNCATE {OURS}.outbox",
        f"UPDATE {OURS}.cursor SET owner = 'me'",
        f"SELECT {OURS}.score()",
        f"INSERT INTO {OURS}.emptied VALUES ('score')",
        f"CREATE FUNCTION {OURS}.hash() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        f"CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION {OURS}.score()",
        f"ALTER FUNCTION {OURS}.score() SET search_path = mine",
        "DROP TRIGGER schoolbell_district_score ON score",
        "ALTER TABLE score DISABLE TRIGGER schoolbell_district_score",
    ],
)
@pytest.mark.parametrize("may_look", [False, True])
def test_an_ordinary_role_can_do_nothing_with_what_is_ours(
    installed: School, act: str, may_look: bool
) -> None:
    """Nor can one that an administrator has let into the schema."""
    if may_look:
        installed.administrator.write(f"GRANT USAGE ON SCHEMA {OURS} TO {APPLICATION}")
    installed.administrator.write(f"GRANT CREATE ON DATABASE {installed.name} TO {APPLICATION}")
    mine = installed.application
    mine.write(
        f"CREATE SCHEMA mine AUTHORIZATION {APPLICATION}",
        "CREATE TABLE mine.mine (id int, points numeric)",
    )
    mine.write("SET search_path = sis, mine")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        mine.write(act)


_TRAPS = (
    "CREATE FUNCTION {0}.trap() RETURNS text LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO {0}.caught VALUES (current_user); RETURN NULL; END'",
    "CREATE FUNCTION {0}.equal(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO {0}.caught VALUES (current_user); RETURN false; END'",
    "CREATE FUNCTION {0}.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO {0}.caught VALUES (current_user); RETURN false; END'",
    "CREATE FUNCTION {0}.to_jsonb(anyelement) RETURNS jsonb LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO {0}.caught VALUES (current_user); RETURN NULL; END'",
    "CREATE FUNCTION {0}.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO {0}.caught VALUES (current_user); RETURN NULL; END'",
    "CREATE FUNCTION {0}.gen_random_uuid() RETURNS uuid LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO {0}.caught VALUES (current_user); RETURN NULL; END'",
    "CREATE FUNCTION {0}.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO {0}.caught VALUES (current_user); RETURN NULL; END'",
    "CREATE OPERATOR {0}.= (FUNCTION = {0}.equal, LEFTARG = jsonb, RIGHTARG = jsonb)",
    "CREATE OPERATOR {0}.= (FUNCTION = {0}.equal, LEFTARG = text, RIGHTARG = text)",
)


@pytest.mark.parametrize("path", ["{0}, pg_catalog, sis", "pg_temp, pg_catalog, sis", "{0}"])
def test_what_a_writers_search_path_leads_to_does_not_run_with_our_rights(
    installed: School, path: str
) -> None:
    installed.administrator.write(f"GRANT CREATE ON DATABASE {installed.name} TO {APPLICATION}")
    mine = installed.application
    mine.write(
        "CREATE SCHEMA mine",
        "CREATE TABLE mine.caught (who text)",
        "GRANT USAGE ON SCHEMA mine TO PUBLIC",
        "GRANT INSERT ON mine.caught TO PUBLIC",
    )
    mine.write(*(trap.format("mine") for trap in _TRAPS))
    mine.write(f"SET search_path = {path.format('mine')}")

    mine.write("INSERT INTO sis.score VALUES (1, 17, NULL, 1)", "UPDATE sis.score SET points = 18")

    assert mine.ask("SELECT who FROM mine.caught") == []
    assert [change.after for change in installed.changes()][-1] == {"points": 18}


def test_a_type_whose_owner_says_how_it_becomes_json_is_refused(guest: School) -> None:
    """What its owner wrote would run with our rights."""
    guest.owner.write(
        "CREATE TYPE mark AS ENUM ('A', 'B')",
        "CREATE FUNCTION mark_json(mark) RETURNS json LANGUAGE sql AS"
        " $$ SELECT to_json(current_user) $$",
        "CREATE CAST (mark AS json) WITH FUNCTION mark_json(mark)",
        "ALTER TABLE score ADD mark mark",
    )
    with pytest.raises(Misconfigured, match=r"sis.mark.*would run with"):
        guest.capture().install()


def test_who_owns_a_watched_table_may_read_the_outbox_for_a_dump_and_write_nothing(
    installed: School,
) -> None:
    assert installed.owner.ask(f"SELECT count(*) FROM {OURS}.outbox") == [(0,)]
    for act in (
        f"INSERT INTO {OURS}.outbox (watch) VALUES ('score')",
        f"UPDATE {OURS}.cursor SET owner = 'me'",
        f"CREATE TABLE {OURS}.other (id integer)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            installed.owner.write(act)


# Which tables a query reads


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("SELECT a, b FROM score WHERE x IN (1, 2)", {"score"}),
        ("SELECT * FROM sis.score s, Kid AS k, (SELECT 1) x, term", {"sis.score", "kid", "term"}),
        ('SELECT * FROM "Odd ""name" JOIN "S"."T x" USING (a, b)', {'Odd "name', "S.T x"}),
        ("WITH w AS (SELECT 1 FROM a), v AS MATERIALIZED (TABLE b) SELECT 1 FROM w, v", {"a"}),
        ("SELECT (SELECT max(x) FROM inner_one), y FROM ONLY outer", {"inner_one", "outer"}),
        ("SELECT 'FROM nothing' -- FROM nowhere\n FROM real /* , other */", {"real"}),
        ("SELECT * FROM generate_series(1, 2) AS n, LATERAL unnest(x) u, real", {"real"}),
        ("SELECT a FROM x UNION ALL SELECT b, c FROM y ORDER BY 1, 2", {"x", "y"}),
    ],
)  # fmt: skip
def test_the_tables_of_a_query_are_known_by_its_words(query: str, tables: set[str]) -> None:
    assert tables_read(query) == tables
