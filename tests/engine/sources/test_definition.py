"""A source definition: what it says is taken as it is, or refused with the reason."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from engine.dialects.names import table_parts
from engine.errors import ConfigError
from engine.sources.definition import Definition, DirectoryWatch, Watch
from engine.sources.loading import bundled, load
from rules.change import KINDS_OF_CHANGE, Kind

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
        with pytest.raises(ConfigError, match=r"broken\.toml is not (usable|readable)"):
            load(str(path))

    def test_every_table_is_captured_in_the_order_of_the_file(self, file: File) -> None:
        assert [captured.name for captured in file.load().captured] == ["score", "person"]

    def test_a_watch_is_found_by_its_name(self, file: File) -> None:
        assert isinstance(file.load().watch_named("score"), Watch)

    def test_a_directory_watch_is_found_by_its_name(self, file: File) -> None:
        assert isinstance(file.load().watch_named("person"), DirectoryWatch)

    def test_an_unknown_watch_is_none(self, file: File) -> None:
        assert file.load().watch_named("lunch") is None

    @pytest.mark.parametrize("kind", list(KINDS_OF_CHANGE))
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
    """Names are as databases have them; where they go into SQL they are quoted."""

    @pytest.mark.parametrize(
        "name",
        [
            "Points", "_points", "1points", "po ints", "pünkte", "a-b", "a.b", "points'", 'po"ints',
            "$1", "select", "100%", ":points", "*", "a" * 128, "分数", "points; --",
        ],
    )  # fmt: skip
    def test_a_column_may_have_any_name(self, file: File, name: str) -> None:
        columns = "columns = " + json.dumps(["points", "mark", "released", name])
        definition = file.load(('columns = ["points", "mark", "released"]', columns))
        assert definition.watch[0].columns[-1] == name

    @pytest.mark.parametrize("part", ["key", "by", "table", "columns"])
    @pytest.mark.parametrize("name", ["", "a" * 129, "a\\u0000", "$function$"])
    def test_what_can_be_no_name_is_refused(self, file: File, part: str, name: str) -> None:
        lines = {
            "key": 'key = "id"',
            "by": 'by = "id"',
            "table": 'table = "score"',
            "columns": 'columns = ["points", "mark", "released"]',
        }
        value = f'["points", "{name}"]' if part == "columns" else f'"{name}"'
        problem = file.problem((lines[part], f"{part} = {value}"))
        assert re.search(
            r"line \d+: (a name is blank|.* cannot be the name|.* names no table)", problem
        )

    @pytest.mark.parametrize(
        ("table", "parts"),
        [
            ('"score"', ("score",)),
            ('"public.score"', ("public", "score")),
            ('["Food Service", "Acc.ounts"]', ("Food Service", "Acc.ounts")),
            ('["a.b"]', ("a.b",)),
            ("""'"a.b".c'""", ("a.b", "c")),
            ('\'"say ""hi"""\'', ('say "hi"',)),
            ("""['say "hi"', "c"]""", ('say "hi"', "c")),
            ('"the scores"', ("the scores",)),
        ],
    )
    def test_a_table_may_have_a_schema_and_any_name(
        self, file: File, table: str, parts: tuple[str, ...]
    ) -> None:
        watch = file.load(('table = "score"', f"table = {table}")).watch[0]
        assert table_parts(watch.table) == parts

    @pytest.mark.parametrize("table", ["", ".", "score.", ".score", "a..b", 'a."b', "a.b.c"])
    def test_a_table_with_an_empty_part_is_refused(self, file: File, table: str) -> None:
        problem = file.problem(('table = "score"', f"table = '{table}'"))
        assert f"[[watch]] score, line 7: {table!r} names no table" in problem

    @pytest.mark.parametrize("table", ["[]", '["a", ""]', '["a", 1]', "1", "{}"])
    def test_a_table_that_is_no_name_is_refused(self, file: File, table: str) -> None:
        problem = file.problem(('table = "score"', f"table = {table}"))
        assert "[[watch]] score, line 7: `table` must be" in problem

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
            (('value = "points"', ""), "one of `value`, `first_of`"),
            (
                ('value = "points"', 'value = "points"\nbecomes = "released"'),
                "one of `value`, `first_of`",
            ),
            (('value = "points"', "value = []"), "one of `value`, `first_of`"),
            (('value = "points"', 'value = "percent"'), "`value` names percent,"),
            (('value = "points"', 'value = ["points", "x"]'), "`value` names x,"),
            (('value = "points"', 'becomes = "posted"'), "`becomes` names posted,"),
            (('by = "id"', 'by = "id"\ntext = "words"'), "`text` names words,"),
            (('by = "id"', 'by = "id"\nreleased_by = "x"'), "`released_by` names x,"),
            (('["points", "mark", "released"]', "[]"), "`columns` names no column"),
            (
                ('["points", "mark", "released"]', str([f"c{n}" for n in range(51)])),
                "`columns` may name 50 columns at most",
            ),
            (
                ('value = "points"', 'value = "points"\nscale = -4'),
                "`scale` and `numbers` must be numbers, and `scale` above zero",
            ),
            (
                ('value = "points"', 'value = "points"\nwords = { "-1" = "a", "-1.0" = "b" }'),
                "`words` names -1 twice",
            ),
            (
                ('value = "points"', 'value = "points"\nwords = { "-1" = "a" }\nignore = [-1.0]'),
                "-1 is among `words` too",
            ),
            (
                ('value = "points"', 'value = ["points", "mark"]\nignore = ["x"]'),
                "`ignore` needs one column as `value`",
            ),
            (
                ('value = "points"', 'first_of = ["points", "x"]'),
                "`first_of` names x, which is not among its `columns`",
            ),
            (
                ('value = "points"', 'value = "points"\nnumbers = { A = "95" }'),
                "`numbers` must be a number throughout",
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
        problem = file.problem(replaced)
        assert re.search(rf"\[\[watch\]\] score, line \d+: {re.escape(said)}", problem)

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
        assert "[[directory_watch]] person, line 33: `by` names school," in (file.problem(refused))

    @pytest.mark.parametrize("by", ['by = "id"', 'by = "first_name"', ""])
    def test_a_directory_watch_may_read_by_id_by_a_column_or_all(self, file: File, by: str) -> None:
        line = 'columns = ["first_name"]\n'
        [watch] = file.load((f'{line}by = "id"', f"{line}{by}")).directory_watch
        assert str(watch.by or "") in by

    def test_all_problems_are_told_at_once(self, file: File) -> None:
        problem = file.problem(('facts = "score"', 'facts = "x"'), ('by = "id"', "by = []"))
        assert "line 11: there is no [facts.x]; [[watch]] score, line 12: `by` must name" in problem


def test_a_definition_cannot_be_changed(file: File) -> None:
    definition: Any = file.load()
    with pytest.raises(AttributeError):
        definition.watch[0].table = "other"


class TestLines:
    """Each problem is told with its line, and the heading under which it stands."""

    @pytest.mark.parametrize(
        ("replaced", "said"),
        [
            (("[facts.score]", "[facts.scores]"), "line 11: there is no [facts.score]"),
            (('value = "points"', "value = 1"), "[[watch]] score, line 10: `value` must be a text"),
            (('value = "points"', "values = 'points'"),
             "[[watch]] score, line 10: there is no key `values` here; did you mean `value`?"),
            (('kind = "assignment"', 'kind = "homework"'),
             "[[watch]] score, line 6: `kind` must be one of: assignment, grade, attendance,"),
            (('kind = "assignment"\n', ""), "[[watch]] score, line 4: `kind` is missing"),
            (('key = "id"', "key = { a = 1 }"),
             "[[watch]] score, line 8: `key` must be a text in quotes or a list"),
            (('"mark", "released"]', '"mark", 3]'),
             "[[watch]] score, line 9: `columns` must be a text in quotes throughout"),
            (('refreshes = "people"', 'refreshes = "teachers"'),
             "[[directory_watch]] person, line 29: `refreshes` must be one of: schools, calendars"),
            (('query = "SELECT * FROM score"', "query = 1"), "line 15: `query` must be"),
            (('query = "SELECT * FROM score"', 'query = " "'), "line 15: the query is blank"),
            (
                ('query = "SELECT * FROM score"', 'timeout = nan\nquery = "SELECT * FROM score"'),
                "line 15: `timeout` must be a number of seconds, above zero and at most 600",
            ),
            (('query = "SELECT * FROM score"', 'query = "SELECT 1;"'), "line 15: leave out"),
            (('rights.query = "SELECT * FROM guardian"\n', ""), "line 20: `rights` is missing"),
            (('rights.query = "SELECT * FROM guardian"', 'rights = "x"'),
             "[directory.rights], line 25: there must be a table here"),
            (('name = "sound"', "name = 3"), "line 2: `name` must be a text in quotes"),
            (('name = "sound"', 'name = ""'), "line 2: `name` is blank"),
            (('name = "sound"', 'name = "sound"\nwatches = 1'),
             "line 3: there is no key `watches` here; did you mean `watch`?"),
            (("[[watch]]", "[watch]"), "line 4: write [[watch]] in two brackets"),
            (('columns = ["points", "mark", "released"]', 'columns = ["points", "points"]'),
             "[[watch]] score, line 9: `columns` names points twice"),
        ],
    )  # fmt: skip
    def test_a_problem_has_its_line(self, file: File, replaced: tuple[str, str], said: str) -> None:
        assert said in file.problem(replaced)

    def test_a_file_that_is_no_toml_has_its_line(self, file: File) -> None:
        problem = file.problem(('"points"', '["points"'))
        assert "not readable as TOML: line 10: Unclosed" in problem

    def test_a_line_of_another_encoding_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.toml"
        path.write_bytes(SOUND.encode() + "\n# Schüler\n".encode("latin-1"))
        with pytest.raises(ConfigError, match="line 35 is not in UTF-8"):
            load(str(path))

    @pytest.mark.parametrize("ending", ["\r\n", "\n"])
    @pytest.mark.parametrize("mark", ["\ufeff", ""])
    def test_an_editor_of_windows_may_have_written_it(
        self, tmp_path: Path, ending: str, mark: str
    ) -> None:
        path = tmp_path / "windows.toml"
        path.write_bytes((mark + SOUND.replace("\n", ending)).encode())
        assert load(str(path)).name == "sound"

    @pytest.mark.parametrize(
        "content", ["a = " + "[" * 5_000, "a = " + "9" * 5_000, "a = 2026-02-30", "a = 0000-00-00"]
    )
    def test_what_python_cannot_read_is_refused(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "odd.toml"
        path.write_text(content)
        with pytest.raises(ConfigError, match="not readable as TOML"):
            load(str(path))

    def test_a_file_without_end_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="larger than"):
            load("/dev/zero")

    def test_a_name_that_no_file_can_have_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            load("a\0b")

    def test_a_watch_that_stands_there_twice_is_refused(self, file: File) -> None:
        again = SOUND[SOUND.index("[[watch]]") : SOUND.index("[facts")]
        again = again.replace('name = "score"', 'name = "again"')
        problem = file.problem(("[facts.score]", f"{again}[facts.score]"))
        assert "[[watch]] again, line 14: it watches the same as score" in problem


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

        problem = file.problem(("[directory]", alone))
        assert f"[pages.{page}], line 21: it needs [pages.{behind}]" in problem
        assert file.load(("[directory]", both)).pages.query(page) == "SELECT * FROM a"

    def test_a_page_that_nobody_knows_is_refused(self, file: File) -> None:
        unknown = '[pages]\nteachers.query = "SELECT * FROM a"\n\n[directory]'

        assert "teachers" in file.problem(("[directory]", unknown))
