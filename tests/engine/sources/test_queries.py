"""Queries: a definition's SELECT, narrowed to some keys with one parameter."""

from collections.abc import Callable

import msgspec
import pytest

from engine.errors import ConfigError
from engine.sources.definition import Definition, Entity, Query
from engine.sources.queries import select_all, select_by
from engine.sources.source import SqlSource
from tests.engine.sources.sis import Sis, a_definition, a_watch, selects

ODD_KEYS = (
    "A-1", "it's", 'quo"te', "back\\slash", "{brace}", "com,ma", "NULL", "null", " ", "%s", ":x",
    "子涵 😀", "tab\there", "line\nbreak", '\\"', "a" * 1_000,
)  # fmt: skip


def records(sis: Sis, query: str, by: str, keys: list[str]) -> list[object]:
    """The first column of what `select_by` finds."""
    with sis.database.read() as connection:
        return sorted(row[0] for row in select_by(connection, query, by, keys))


class TestNarrowing:
    """One query serves one key and a thousand alike."""

    def test_only_the_rows_of_the_keys_come(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL), (2, 8, NULL), (3, 9, NULL)")
        assert records(sis, "SELECT id FROM score", "id", ["1", "3", "4"]) == [1, 3]

    def test_several_rows_of_one_key_come(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, 'x'), (2, 8, 'x'), (3, 9, 'y')")
        assert records(sis, "SELECT id, comment FROM score", "comment", ["x"]) == [1, 2]

    def test_no_keys_need_no_query(self, sis: Sis) -> None:
        assert records(sis, "SELECT nothing FROM nowhere", "id", []) == []

    @pytest.mark.parametrize("type_", ["integer", "bigint", "numeric(10, 0)", "text"])
    def test_a_key_may_be_of_any_type(self, empty_sis: Sis, type_: str) -> None:
        empty_sis.write(f"CREATE TABLE one (id {type_} PRIMARY KEY)")
        empty_sis.write("INSERT INTO one VALUES ('12'), ('34')")
        with empty_sis.database.read() as connection:
            found = select_by(connection, "SELECT id FROM one", "id", ["12"])
        assert [str(row.id) for row in found] == ["12"]

    @pytest.mark.parametrize("type_", ["uuid", "char(36)"])
    def test_a_key_may_be_a_uuid(self, empty_postgres_sis: Sis, type_: str) -> None:
        key = "01a20377-d2f4-77f5-b548-5ecbc04cab2a"
        empty_postgres_sis.write(f"CREATE TABLE one (id {type_} PRIMARY KEY)")
        empty_postgres_sis.put("INSERT INTO one VALUES (?)", key)
        with empty_postgres_sis.database.read() as connection:
            found = select_by(connection, "SELECT id FROM one", "id", [key])
        assert [str(row.id) for row in found] == [key]

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_key_may_be_any_text(self, empty_sis: Sis, key: str) -> None:
        empty_sis.write("CREATE TABLE one (id text)", "INSERT INTO one VALUES ('another')")
        empty_sis.put("INSERT INTO one VALUES (?)", key)
        assert records(empty_sis, "SELECT id FROM one", "id", [key]) == [key]

    def test_odd_keys_are_kept_apart(self, empty_sis: Sis) -> None:
        empty_sis.write("CREATE TABLE one (id text)")
        for key in ODD_KEYS:
            empty_sis.put("INSERT INTO one VALUES (?)", key)
        assert records(empty_sis, "SELECT id FROM one", "id", list(ODD_KEYS)) == sorted(ODD_KEYS)

    def test_a_thousand_keys_are_one_query_with_one_parameter(self, sis: Sis) -> None:
        sis.write(f"INSERT INTO score (id) VALUES {', '.join(f'({n})' for n in range(2_000))}")
        with selects(sis.database) as sent:
            found = records(sis, "SELECT id FROM score", "id", [str(n) for n in range(1_000)])
        assert (found, [len(values) for _, values in sent]) == (list(range(1_000)), [1])

    def test_a_column_in_mixed_case_can_be_asked_by(self, empty_sis: Sis) -> None:
        empty_sis.write('CREATE TABLE one ("Id" integer)', "INSERT INTO one VALUES (1)")
        assert records(empty_sis, 'SELECT "Id" FROM one', "Id", ["1"]) == [1]


class TestVerbatim:
    """A query means what it says, whatever characters it holds."""

    @pytest.mark.parametrize(
        ("expression", "meaning"),
        [
            ("'at :00'", "at :00"),
            ("'(:x)'", "(:x)"),
            ("'a::b'", "a::b"),
            ("'100% %s %(x)s'", "100% %s %(x)s"),
            ("'back\\slash\\:'", "back\\slash\\:"),
            ("CAST(1 AS text) /* a :comment */", "1"),
            ("CAST(2 AS text) -- a :comment", "2"),
            ("'{a}'", "{a}"),
        ],
    )
    @pytest.mark.parametrize("ask", ["all", "by"])
    def test_a_character_that_means_something_elsewhere_means_nothing(
        self, sis: Sis, ask: str, expression: str, meaning: str
    ) -> None:
        sis.write("INSERT INTO score (id) VALUES (1)")
        query = f"SELECT id, {expression}\n AS words FROM score"
        with sis.database.read() as connection:
            found = (
                select_all(connection, query)
                if ask == "all"
                else select_by(connection, query, "id", ["1"])
            )
        assert [row.words for row in found] == [meaning]

    def test_casts_of_postgresql_are_casts(self, postgres_sis: Sis) -> None:
        postgres_sis.write("INSERT INTO score (id) VALUES (1)")
        with postgres_sis.database.read() as connection:
            [row] = select_by(connection, "SELECT id, id::text AS words FROM score", "id", ["1"])
        assert row.words == "1"

    def test_a_comment_at_the_end_of_a_query_hides_nothing_of_ours(self, sis: Sis) -> None:
        sis.write("INSERT INTO score (id) VALUES (1), (2)")
        assert records(sis, "SELECT id FROM score -- all of them", "id", ["2"]) == [2]


class TestCheck:
    """Every query of a definition is tried before it is needed."""

    def test_a_sound_definition_passes(self, sis: Sis) -> None:
        SqlSource(sis.database, _a_sound_definition()).check()

    @pytest.mark.parametrize(
        "column", ["record", "student_id", "school_id", "calendar_id", "released", "value"]
    )
    def test_facts_without_a_needed_column_are_named(self, sis: Sis, column: str) -> None:
        facts = _FACTS.replace(f" AS {column}", f" AS not_{column}")
        problem = _problem(sis, _a_sound_definition(facts=facts))
        assert f"The query [facts.score] of the source definition gives no column {column}." == (
            problem
        )

    def test_facts_without_the_column_of_a_watch_are_named(self, sis: Sis) -> None:
        definition = _a_sound_definition()
        watch = msgspec.structs.replace(definition.watch[0], by="assignment_id")
        problem = _problem(sis, msgspec.structs.replace(definition, watch=(watch,)))
        assert problem.endswith("[facts.score] of the source definition gives no column"
                                " assignment_id.")  # fmt: skip

    @pytest.mark.parametrize("column", ["value", "label"])
    def test_labels_without_a_needed_column_are_named(self, sis: Sis, column: str) -> None:
        labels = "SELECT 1 AS value, 2 AS label".replace(f" AS {column}", " AS other")
        problem = _problem(sis, _a_sound_definition(labels=labels))
        assert (
            f"The query [labels.mark] of the source definition gives no column {column}." == problem
        )

    @pytest.mark.parametrize(
        ("entity", "column"),
        [
            ("schools", "name"),
            ("calendars", "year"),
            ("people", "language"),
            ("students", "enrolled"),
            ("rights", "restricted"),
        ],
    )
    def test_a_part_of_the_directory_without_a_needed_column_is_named(
        self, sis: Sis, entity: Entity, column: str
    ) -> None:
        definition = _a_sound_definition()
        query = definition.directory.query(entity).replace(f" AS {column}", " AS other")
        directory = msgspec.structs.replace(definition.directory, **{entity: Query(query=query)})
        problem = _problem(sis, msgspec.structs.replace(definition, directory=directory))
        assert problem == (
            f"The query [directory.{entity}] of the source definition gives no column {column}."
        )

    @pytest.mark.parametrize(
        ("entity", "column", "meant"),
        [
            ("rights", "grades", "grade"),
            ("rights", "meals_balance", "meal_balance"),
            ("calendars", "start", "starts"),
            ("people", "stableid", "stable_id"),
        ],
    )
    def test_a_column_of_the_directory_that_is_nearly_one_of_ours_is_named(
        self, sis: Sis, entity: Entity, column: str, meant: str
    ) -> None:
        definition = _a_sound_definition()
        query = f"{definition.directory.query(entity)}, 1 AS {column}"
        directory = msgspec.structs.replace(definition.directory, **{entity: Query(query=query)})
        problem = _problem(sis, msgspec.structs.replace(definition, directory=directory))
        assert problem == (
            f"The query [directory.{entity}] of the source definition gives the column {column},"
            f" which nobody reads; did you mean {meant}?"
        )

    def test_a_kind_that_only_differs_by_its_case_is_named(self, sis: Sis) -> None:
        definition = _a_sound_definition()
        query = f'{definition.directory.query("rights")}, 1 AS "Grade"'
        directory = msgspec.structs.replace(definition.directory, rights=Query(query=query))
        problem = _problem(sis, msgspec.structs.replace(definition, directory=directory))
        assert problem.endswith("gives the column Grade, which nobody reads; did you mean grade?")

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT * FROM nowhere",
            "SELECT nothing FROM score",
            "SELEKT * FROM score",
            "SELECT * FROM score;",
            "SELECT unknown(id) FROM score",
            "SELECT id FROM score JOIN score s ON TRUE",
            "",
        ],
    )
    def test_a_query_that_does_not_run_is_named(self, sis: Sis, query: str) -> None:
        problem = _problem(sis, _a_sound_definition(facts=query))
        assert problem.startswith("The query [facts.score] of the source definition does not run: ")

    @pytest.mark.parametrize("name", ["nowhere", "nothing"])
    def test_what_a_query_does_not_find_is_named(self, sis: Sis, name: str) -> None:
        query = {"nowhere": "SELECT * FROM nowhere", "nothing": "SELECT nothing FROM score"}[name]
        assert name in _problem(sis, _a_sound_definition(facts=query))

    def test_no_row_is_read_for_it(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 0, NULL)")
        sound = _FACTS.replace("points AS value", "abs(CAST(1 / points AS integer)) AS value")
        SqlSource(sis.database, _a_sound_definition(facts=sound)).check()


_FACTS = (
    "SELECT id, 'x' AS record, 1 AS student_id, 1 AS school_id, 1 AS calendar_id,"
    " TRUE AS released, points AS value FROM score"
)
_COLUMNS: dict[Entity, str] = {
    "schools": "1 AS id, 2 AS name",
    "calendars": "1 AS id, 2 AS school_id, 3 AS year, 4 AS active",
    "people": "1 AS id, 2 AS first_name, 3 AS last_name, 4 AS language",
    "students": "1 AS id, 2 AS person_id, 3 AS school_id, 4 AS enrolled",
    "rights": "1 AS student_id, 2 AS person_id, 3 AS relation, 4 AS portal, 5 AS starts,"
    " 6 AS ends, 7 AS restricted",
}


def _a_sound_definition(
    facts: str = _FACTS, labels: str = "SELECT 1 AS value, 2 AS label"
) -> Definition:
    definition = a_definition(
        a_watch(), facts={"score": Query(query=facts)}, labels={"mark": Query(query=labels)}
    )
    parts = {entity: Query(query=f"SELECT {columns}") for entity, columns in _COLUMNS.items()}
    directory = msgspec.structs.replace(definition.directory, **parts)
    return msgspec.structs.replace(definition, directory=directory)


def _problem(sis: Sis, definition: Definition) -> str:
    check: Callable[[], None] = SqlSource(sis.database, definition).check
    with pytest.raises(ConfigError) as caught:
        check()
    return caught.value.problem
