"""A source definition: what it says is taken as it is, or refused with the reason."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.sources.definition import Definition, DirectoryWatch, Watch, bundled, load
from rules.change import Kind

SOUND = """
name = "sound"

[[watch]]
name = "score"
kind = "assignment"
table = "score"
key = "id"
columns = ["points", "mark", "released"]
value = "points"
facts = "score"
by = "id"

[facts.score]
query = "SELECT * FROM score"

[labels.marks]
query = "SELECT * FROM mark"

[directory]
schools.query = "SELECT * FROM school"
calendars.query = "SELECT * FROM calendar"
people.query = "SELECT * FROM person"
students.query = "SELECT * FROM student"
rights.query = "SELECT * FROM guardian"

[[directory_watch]]
name = "person"
refreshes = "people"
table = "person"
key = "id"
columns = ["first_name"]
by = "id"
"""


class File:
    """A definition in a file, with some of its lines replaced."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "definition.toml"

    def load(self, *replaced: tuple[str, str]) -> Definition:
        text = SOUND
        for line, other in replaced:
            assert line in text, f"The sound definition has no {line!r}."
            text = text.replace(line, other, 1)
        self._path.write_text(text, "utf-8")
        return load(str(self._path))

    def problem(self, *replaced: tuple[str, str]) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load(*replaced)
        return caught.value.problem


@pytest.fixture
def file(tmp_path: Path) -> File:
    """The sound definition, to be changed."""
    return File(tmp_path)


class TestLoading:
    """Definitions come by name or by path."""

    @pytest.mark.parametrize("name", bundled())
    def test_every_bundled_definition_loads(self, name: str) -> None:
        assert load(name).name == name

    def test_the_reference_definition_is_bundled(self) -> None:
        assert "reference" in bundled()

    def test_a_file_loads(self, file: File) -> None:
        assert file.load().name == "sound"

    def test_a_file_that_is_not_there_names_the_bundled_ones(self) -> None:
        with pytest.raises(ConfigError, match=r"no source definition nowhere\.toml.*reference"):
            load("nowhere.toml")

    def test_a_folder_is_no_definition(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"The source definition .* cannot be read"):
            load(str(tmp_path))

    @pytest.mark.parametrize("content", [b"name = ", b"", b"\xff\xfe", b"{}"])
    def test_what_is_no_definition_is_not_usable(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "broken.toml"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"broken\.toml is not usable"):
            load(str(path))

    def test_every_table_is_captured_in_the_order_of_the_file(self, file: File) -> None:
        assert [captured.name for captured in file.load().captured] == ["score", "person"]

    def test_a_watch_is_found_by_its_name(self, file: File) -> None:
        assert isinstance(file.load().watch_named("score"), Watch)

    def test_a_directory_watch_is_found_by_its_name(self, file: File) -> None:
        assert isinstance(file.load().watch_named("person"), DirectoryWatch)

    def test_an_unknown_watch_is_none(self, file: File) -> None:
        assert file.load().watch_named("lunch") is None

    @pytest.mark.parametrize("kind", list(Kind))
    def test_each_of_the_five_kinds_can_be_watched(self, file: File, kind: Kind) -> None:
        definition = file.load(('kind = "assignment"', f'kind = "{kind}"'))
        assert definition.watch[0].kind is kind

    @pytest.mark.parametrize(
        ("value", "values"), [('"points"', ("points",)), ('["points", "mark"]', ("points", "mark"))]
    )
    def test_a_value_is_one_column_or_several(
        self, file: File, value: str, values: tuple[str, ...]
    ) -> None:
        assert file.load(('value = "points"', f"value = {value}")).watch[0].values == values


class TestUnknownKeys:
    """A key that nobody reads is a misunderstanding: it is refused wherever it stands."""

    @pytest.mark.parametrize(
        "line",
        [
            'name = "sound"',
            'kind = "assignment"',
            'query = "SELECT * FROM score"',
            'query = "SELECT * FROM mark"',
            'schools.query = "SELECT * FROM school"',
            'refreshes = "people"',
        ],
    )
    def test_a_key_that_nobody_knows_is_named(self, file: File, line: str) -> None:
        assert "realeased_by" in file.problem((line, f'{line}\nrealeased_by = "released"'))

    @pytest.mark.parametrize(
        "line",
        [
            'name = "sound"\n',
            'kind = "assignment"\n',
            'key = "id"\n',
            'facts = "score"\n',
            'rights.query = "SELECT * FROM guardian"\n',
            'refreshes = "people"\n',
        ],
    )
    def test_a_key_that_is_missing_is_named(self, file: File, line: str) -> None:
        assert f"`{line.split(' ')[0].split('.')[0]}`" in file.problem((line, ""))

    @pytest.mark.parametrize(
        ("line", "other"),
        [
            ('kind = "assignment"', 'kind = "homework"'),
            ('refreshes = "people"', 'refreshes = "teachers"'),
            ('columns = ["first_name"]', 'columns = "first_name"'),
            ('key = "id"', "key = 1"),
        ],
    )
    def test_a_value_of_the_wrong_sort_is_refused(self, file: File, line: str, other: str) -> None:
        assert "is not usable" in file.problem((line, other))


class TestNames:
    """Names go into SQL, so only plain ones may."""

    @pytest.mark.parametrize(
        "name",
        [
            'points"; DROP TABLE score; --', "points'", "po ints", "points\\n", "", "1points",
            "a$function$b", "pünkte", "a" * 64, "points)", "a-b", "a.b", "*", "a\\u0000",
        ],
    )  # fmt: skip
    def test_a_column_with_anything_else_in_it_is_refused(self, file: File, name: str) -> None:
        escaped = name.replace('"', '\\"')
        problem = file.problem(('["points", "mark"', f'["points", "mark", "{escaped}"'))
        assert "is no plain column or table name" in problem

    @pytest.mark.parametrize("part", ["key", "table", "by"])
    def test_every_name_in_a_watch_is_looked_at(self, file: File, part: str) -> None:
        line = {"key": 'key = "id"', "table": 'table = "score"', "by": 'by = "id"'}[part]
        assert "is no plain column" in file.problem((line, f"{part} = 'x\" OR 1=1; --'"))

    def test_the_names_in_a_directory_watch_are_looked_at(self, file: File) -> None:
        problem = file.problem(('columns = ["first_name"]', "columns = ['x\"']"))
        assert "watch person: 'x\"' is no plain column" in problem

    @pytest.mark.parametrize("name", ["Points", "_points", "points_2", "a" * 63])
    def test_a_plain_column_is_taken(self, file: File, name: str) -> None:
        definition = file.load(('["points", "mark"', f'["points", "mark", "{name}"'))
        assert name in definition.watch[0].columns

    @pytest.mark.parametrize("table", ["score", "public.score", "Lunch.Accounts"])
    def test_a_table_may_have_a_schema(self, file: File, table: str) -> None:
        assert file.load(('table = "score"', f'table = "{table}"')).watch[0].table == table

    @pytest.mark.parametrize("table", ["", ".", "score.", ".score", "a..b", 'a."b"'])
    def test_a_table_with_an_empty_part_is_refused(self, file: File, table: str) -> None:
        assert "no plain column or table name" in file.problem(
            ('table = "score"', f"table = '{table}'")
        )

    @pytest.mark.parametrize(
        "name", ["Score", "the score", "score_1", "1score", "", "a" * 41, "s'", 's"', "score\\n"]
    )
    def test_a_watch_is_named_in_small_letters_digits_and_hyphens(
        self, file: File, name: str
    ) -> None:
        escaped = name.replace('"', '\\"')
        problem = file.problem(('name = "score"', f'name = "{escaped}"'))
        assert "small letters, digits and hyphens" in problem

    @pytest.mark.parametrize("name", ["s", "score-2", "a" * 40])
    def test_a_plain_name_of_a_watch_is_taken(self, file: File, name: str) -> None:
        assert file.load(('name = "score"', f'name = "{name}"')).watch[0].name == name


class TestWhatMustFitTogether:
    """The parts of a definition refer to one another."""

    @pytest.mark.parametrize(
        ("replaced", "said"),
        [
            (('facts = "score"', 'facts = "scores"'), "there is no [facts.scores]"),
            (('by = "id"', 'by = "id"\nlabels = "mark"'), "there is no [labels.mark]"),
            (('value = "points"', ""), "either `value` or `becomes` is needed, not both"),
            (
                ('value = "points"', 'value = "points"\nbecomes = "released"'),
                "either `value` or `becomes` is needed, not both",
            ),
            (('value = "points"', "value = []"), "either `value` or `becomes` is needed, not both"),
            (('value = "points"', 'value = "percent"'), "percent is not among its columns"),
            (('value = "points"', 'value = ["points", "x"]'), "x is not among its columns"),
            (('value = "points"', 'becomes = "posted"'), "posted is not among its columns"),
            (('by = "id"', 'by = "id"\ntext = "words"'), "words is not among its columns"),
            (('by = "id"', 'by = "id"\nreleased_by = "x"'), "x is not among its columns"),
            (('["points", "mark", "released"]', "[]"), "no columns are watched"),
            (
                ('["points", "mark", "released"]', str([f"c{n}" for n in range(51)])),
                "at most 50 columns can be watched",
            ),
            (
                ('value = "points"', 'becomes = "released"\nlabels = "marks"'),
                "`labels` need one column as `value`",
            ),
            (
                ('value = "points"', 'value = ["points", "mark"]\nlabels = "marks"'),
                "`labels` need one column as `value`",
            ),
        ],
    )
    def test_what_does_not_fit_is_said_with_the_watch(
        self, file: File, replaced: tuple[str, str], said: str
    ) -> None:
        assert f"watch score: {said}" in file.problem(replaced)

    def test_labels_of_one_value_are_taken(self, file: File) -> None:
        assert file.load(('by = "id"', 'by = "id"\nlabels = "marks"')).watch[0].labels == "marks"

    def test_two_watches_of_one_name_are_refused(self, file: File) -> None:
        again = SOUND[SOUND.index("[[watch]]") : SOUND.index("[facts")]
        problem = file.problem(("[facts.score]", f"{again}[facts.score]"))
        assert "two watches are named score" in problem

    def test_a_watch_and_a_directory_watch_of_one_name_are_refused(self, file: File) -> None:
        assert "two watches are named score" in file.problem(('name = "person"', 'name = "score"'))

    def test_a_directory_watch_reads_by_one_of_its_columns(self, file: File) -> None:
        refused = ('columns = ["first_name"]\nby = "id"', 'columns = ["first_name"]\nby = "school"')
        assert "watch person: `by` names school, which is no column of [directory.people]" in (
            file.problem(refused)
        )

    @pytest.mark.parametrize("by", ['by = "id"', 'by = "first_name"', ""])
    def test_a_directory_watch_may_read_by_id_by_a_column_or_all(self, file: File, by: str) -> None:
        line = 'columns = ["first_name"]\n'
        [watch] = file.load((f'{line}by = "id"', f"{line}{by}")).directory_watch
        assert str(watch.by or "") in by

    def test_all_problems_are_told_at_once(self, file: File) -> None:
        problem = file.problem(('facts = "score"', 'facts = "x"'), ('by = "id"', "by = 'a b'"))
        assert ("[facts.x]" in problem, "'a b'" in problem) == (True, True)


def test_a_definition_cannot_be_changed(file: File) -> None:
    definition: Any = file.load()
    with pytest.raises(AttributeError):
        definition.watch[0].table = "other"


class TestPages:
    """Pages may be left out; one that says nothing of whom it is about may not be there alone."""

    def test_a_sis_without_pages_is_sound(self, file: File) -> None:
        assert file.load().pages.families is None

    @pytest.mark.parametrize(
        ("page", "behind"),
        [
            ("families", "members"),
            ("classes", "class_enrollments"),
            ("camps", "camp_enrollments"),
        ],
    )
    def test_a_page_needs_the_part_that_says_whom_it_is_about(
        self, file: File, page: str, behind: str
    ) -> None:
        alone = f'[pages]\n{page}.query = "SELECT * FROM a"\n\n[directory]'
        both = alone.replace("[pages]", f'[pages]\n{behind}.query = "SELECT * FROM b"')

        assert f"[pages.{page}] needs [pages.{behind}]" in file.problem(("[directory]", alone))
        assert file.load(("[directory]", both)).pages.query(page) == "SELECT * FROM a"

    def test_a_page_that_nobody_knows_is_refused(self, file: File) -> None:
        unknown = '[pages]\nteachers.query = "SELECT * FROM a"\n\n[directory]'

        assert "teachers" in file.problem(("[directory]", unknown))
