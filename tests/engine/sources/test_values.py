"""What values mean: as families read them, and as thresholds compare them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.errors import Unprocessable
from engine.sources.definition import Definition, Query
from engine.sources.source import SqlSource
from engine.sources.values import Label, Meaning, canonical, number, written
from rules.change import Kind, Value
from tests.engine.sources.sis import Sis, a_definition, a_watch

CHICAGO = ZoneInfo("America/Chicago")


def meant(
    kind: Kind, *raw: Any, text: str = "", out_of: Any = None, **meaning: Any
) -> Value | None:
    """What a watch of this kind says of *raw* values."""
    columns = tuple(f"c{n}" for n in range(len(raw)))
    several = {} if "first_of" in meaning else {"value": columns}
    watch = a_watch(kind=kind, columns=columns, **several, **meaning)
    return Meaning(watch, CHICAGO).of(raw, text, out_of)


class TestWords:
    """Values that are words, and match by value."""

    @pytest.mark.parametrize("raw", [-1, -1.0, "-1", "-1.00", " -1 ", Decimal("-1.000")])
    def test_a_number_that_means_a_word_is_told_as_it(self, raw: Any) -> None:
        words = {"-1": "excused", "A": "absent"}
        assert meant(Kind.ASSIGNMENT, raw, out_of=20, words=words) == Value("excused")

    @pytest.mark.parametrize("raw", ["M", "M  "])
    def test_a_letter_too(self, raw: str) -> None:
        assert meant(Kind.ATTENDANCE, raw, words={"M": "medical"}) == Value("medical")

    def test_any_other_value_is_what_it_is(self) -> None:
        assert meant(Kind.ASSIGNMENT, 17, out_of=20, words={"-1": "x"}) == Value(
            "17/20", Decimal(85)
        )

    def test_a_word_wins_over_the_text_of_the_row(self) -> None:
        assert meant(Kind.GRADE, -1, text="F", words={"-1": "incomplete"}) == Value("incomplete")


class TestNumbers:
    """The number that stands behind a letter, so that a threshold works on a scale of letters."""

    @pytest.mark.parametrize("kind", [Kind.GRADE, Kind.ASSIGNMENT])
    def test_a_letter_has_a_number(self, kind: Kind) -> None:
        found = meant(kind, "B-", out_of=20, numbers={"A": 95, "B-": 81.5})
        assert found == Value("B-", Decimal("81.5"))

    def test_a_word_may_have_one(self) -> None:
        found = meant(Kind.GRADE, "-2", words={"-2": "missing"}, numbers={"-2.0": 0})
        assert found == Value("missing", Decimal(0))

    def test_a_letter_that_is_not_named_has_none(self) -> None:
        assert meant(Kind.GRADE, "E", numbers={"A": 95}) == Value("E")


class TestIgnored:
    """Values that families never see are like NULL."""

    @pytest.mark.parametrize("raw", [None, -99, "-99.0", "", " ", "n/a"])
    def test_they_say_nothing(self, raw: Any) -> None:
        assert meant(Kind.GRADE, raw, ignore=(-99, "", "n/a")) is None

    @pytest.mark.parametrize("kind", [Kind.ASSIGNMENT, Kind.GRADE, Kind.MEAL_BALANCE])
    @pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", float("nan"), float("inf")])
    def test_what_is_no_number_says_nothing(self, kind: Kind, raw: Any) -> None:
        assert meant(kind, raw) is None

    def test_among_several_the_others_are_told(self) -> None:
        found = meant(Kind.RESPONSIVE_SCHEDULE, "Monday", "TBD", "Gym", ignore=("TBD",))
        assert found == Value("Monday, Gym")


class TestFirstOf:
    """Two columns of which one wins: the office's mark, and else the teacher's."""

    @pytest.mark.parametrize(
        ("raw", "told"),
        [(("B", "C"), "B"), ((None, "C"), "C"), (("-", "C"), "C"), ((None, "-"), None)],
    )
    def test_the_first_that_says_something_is_told(
        self, raw: tuple[Any, ...], told: str | None
    ) -> None:
        found = meant(Kind.GRADE, *raw, first_of=("office", "teacher"), ignore=("-",))
        assert (found and found.text) == told


class TestScale:
    """The highest value, or what makes a dollar."""

    @pytest.mark.parametrize(
        ("kind", "raw", "scale", "value"),
        [
            (Kind.GRADE, 3.5, 4, Value("3.5", Decimal("87.5"))),
            (Kind.GRADE, "A", 4, Value("A")),
            (Kind.ASSIGNMENT, 17, 20, Value("17/20", Decimal(85))),
            (Kind.MEAL_BALANCE, 725, 100, Value("$7.25", Decimal("7.25"))),
            (Kind.MEAL_BALANCE, -50, 100, Value("-$0.50", Decimal("-0.5"))),
        ],
    )
    def test_it_makes_a_value_comparable(
        self, kind: Kind, raw: Any, scale: float, value: Value
    ) -> None:
        assert meant(kind, raw, scale=scale) == value

    def test_points_possible_of_the_facts_win(self) -> None:
        assert meant(Kind.ASSIGNMENT, 5, out_of=10, scale=20) == Value("5/10", Decimal(50))


class TestNumbersAsPeopleWriteThem:
    """What a float made of a number is noise."""

    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (91.50000000000001, "91.5"), (0.30000000000000004, "0.3"), ("91.4999999999", "91.5"),
            (1e2, "100"), (-0.0, "0"), (Decimal("1E+2"), "100"), ("007", "7"), (99.995, "100"),
            ("1,5", "1,5"), ("A", "A"), (True, "True"),
        ],
    )  # fmt: skip
    def test_a_grade(self, raw: Any, told: str) -> None:
        found = meant(Kind.GRADE, raw)
        assert found
        assert found.text.removesuffix("%") == told

    def test_what_is_equal_when_written_is_equal(self) -> None:
        assert meant(Kind.GRADE, 91.50000000000001) == meant(Kind.GRADE, "91.50")

    @pytest.mark.parametrize(
        ("raw", "amount"),
        [
            ("$1,234.50", "1234.5"), ("-$5.25", "-5.25"), ("$-5.25", "-5.25"), ("($5.25)", "-5.25"),
            ("€7.00", "7"), ("$1,234,567", "1234567"), ("$0.00", "0"), ("12", "12"),
            ("1,234", None), ("5,50", None), ("1.234,50 €", None), ("$", None), ("", None),
            ("1" * 30, None), ("1_000", None), ("$7 or so", None), ("--5", None),
        ],
    )  # fmt: skip
    def test_an_amount_is_a_number_and_a_decimal_comma_is_not_guessed(
        self, raw: str, amount: str | None
    ) -> None:
        assert number(raw) == (None if amount is None else Decimal(amount))

    @pytest.mark.parametrize(
        ("raw", "one"),
        [
            (-1.0, "-1"),
            ("-1.00", "-1"),
            ("A ", "A"),
            (True, "true"),
            (None, "None"),
            ("1e2", "100"),
        ],
    )
    def test_one_value_has_one_form(self, raw: Any, one: str) -> None:
        assert canonical(raw) == one


class TestMoments:
    """By the district's clock, whatever zone the writer or the server has."""

    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            ("2026-12-01T15:40:00+00:00", "2026-12-01 09:40"),
            ("2026-12-01T05:30:00.123456+00:00", "2026-11-30 23:30"),
            ("2026-12-01 16:40:00+01", "2026-12-01 09:40"),
            ("2026-12-01T09:40:00", "2026-12-01 09:40"),
            ("2026-12-01T00:00:00", "2026-12-01"),
            ("2026-12-01", "2026-12-01"),
            ("09:40:00", "09:40"),
            ("2026-02-30T09:40:00", "2026-02-30T09:40:00"),
            ("2026-12-01T15:40 or later", "2026-12-01T15:40 or later"),
            (datetime(2026, 12, 1, 15, 40, tzinfo=timezone(timedelta(0))), "2026-12-01 09:40"),
            (datetime(2026, 12, 1, 9, 40), "2026-12-01 09:40"),  # noqa: DTZ001 - as a driver gives it
            (date(2026, 12, 1), "2026-12-01"),
            (time(9, 40), "09:40"),
        ],
    )
    def test_a_moment_is_written_as_people_do(self, raw: Any, told: str) -> None:
        assert written(raw, CHICAGO) == told


FACTS = (
    "SELECT mark.id, 'mark ' || mark.id AS record, 41 AS student_id, 1 AS school_id,"
    " 1 AS calendar_id, done.id IS NOT NULL AS released, points AS value, 20 AS out_of,"
    " section AS title, mark.section FROM mark LEFT JOIN done ON done.id = mark.section"
)


def _school(sis: Sis, type_: str = "numeric(8, 2)", **meaning: Any) -> Definition:
    """A SIS whose marks are seen once their section is done, and capture on it."""
    sis.write(
        f"CREATE TABLE mark (id integer PRIMARY KEY, section integer, points {type_})",
        "CREATE TABLE done (id integer PRIMARY KEY)",
        "CREATE TABLE word (value integer, label text)",
        "INSERT INTO word VALUES (-1, 'excused'), (-2, NULL)",
    )
    definition = a_definition(
        a_watch("mark", table="mark", columns=("points",), facts="mark", **meaning),
        a_watch(
            "done",
            table="done",
            columns=("id",),
            value=(),
            appears=True,
            facts="mark",
            by="section",
        ),
        facts={"mark": Query(query=FACTS)},
        labels={"word": Query(query="SELECT value, label FROM word")},
    )
    sis.capture(definition).install()
    return definition


def _told(sis: Sis, definition: Definition) -> list[tuple[str | None, bool]]:
    found = SqlSource(sis.database, definition, CHICAGO).find(sis.changes())
    return [(one.after and one.after.text, one.released) for one in found]


class TestOfADatabase:
    """From what is stored to what is told, on each kind of database."""

    @pytest.mark.parametrize("type_", ["integer", "numeric(8, 2)", "real", "text"])
    def test_labels_match_by_value(self, empty_sis: Sis, type_: str) -> None:
        definition = _school(empty_sis, type_, labels="word")
        empty_sis.write("INSERT INTO mark VALUES (1, 7, -1), (2, 7, -2), (3, 7, 17)")
        assert [text for text, _ in _told(empty_sis, definition)] == ["excused", "-2/20", "17/20"]

    def test_a_row_that_appears_releases_in_the_words_of_the_record(self, empty_sis: Sis) -> None:
        definition = _school(empty_sis, words={"-1": "excused"})
        empty_sis.write("INSERT INTO mark VALUES (1, 7, -1), (2, 7, 18.5), (3, 8, 3)")
        before = _told(empty_sis, definition)
        empty_sis.write("INSERT INTO done VALUES (7)")
        assert before == [("excused", False), ("18.5/20", False), ("3/20", False)]
        assert _told(empty_sis, definition)[3:] == [("excused", True), ("18.5/20", True)]

    def test_a_row_that_disappears_tells_nothing(self, empty_sis: Sis) -> None:
        definition = _school(empty_sis)
        empty_sis.write("INSERT INTO mark VALUES (1, 7, 3)", "INSERT INTO done VALUES (7)")
        empty_sis.write("DELETE FROM done")
        assert len(_told(empty_sis, definition)) == 2

    def test_money_is_an_amount(self, empty_postgres_sis: Sis) -> None:
        definition = _school(empty_postgres_sis, "money", kind=Kind.MEAL_BALANCE)
        empty_postgres_sis.write("INSERT INTO mark VALUES (1, 7, '-1234.5')")
        source = SqlSource(empty_postgres_sis.database, definition)
        [found] = source.find(empty_postgres_sis.changes())
        assert found.after == Value("-$1234.50", Decimal("-1234.5"))

    def test_what_is_computed_by_the_query_is_told(self, empty_sis: Sis) -> None:
        definition = _school(empty_sis, value=(), computed=True)
        query = FACTS.replace("points AS value", "points * 2 AS value, 'doubled' AS text")
        facts = {"mark": Query(query=query)}
        computed = a_definition(*definition.watch, facts=facts, labels=definition.labels)
        empty_sis.write("INSERT INTO mark VALUES (1, 7, 4)")
        [found] = SqlSource(empty_sis.database, computed).find(empty_sis.changes())
        assert found.after == Value("doubled", Decimal(40))


@pytest.mark.parametrize("broken", ["20 / (points - 3)", "CAST(points || ' Ada' AS integer)"])
def test_a_row_that_makes_a_query_fail_is_told_without_its_content(
    empty_postgres_sis: Sis, broken: str
) -> None:
    definition = _school(empty_postgres_sis)
    facts = {"mark": Query(query=FACTS.replace("20 AS out_of", f"{broken} AS out_of"))}
    failing = a_definition(*definition.watch, facts=facts, labels=definition.labels)
    empty_postgres_sis.write("INSERT INTO mark VALUES (1, 7, 3)")
    with pytest.raises(Unprocessable, match=r"query \[facts\.mark\]") as caught:
        SqlSource(empty_postgres_sis.database, failing).find(empty_postgres_sis.changes())
    assert "Ada" not in str(caught.value)


def test_a_label_may_bring_a_number() -> None:
    watch = a_watch(kind=Kind.GRADE)
    meaning = Meaning(watch, CHICAGO, {"7": Label("B+", Decimal(88))})
    assert meaning.of([7.0], "", None) == Value("B+", Decimal(88))
