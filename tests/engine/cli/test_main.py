"""The command line, as people use it."""

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
import structlog

from engine.cli.main import cli, main
from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.store import app
from engine.store import district as settings
from engine.store.tables import PREFIX
from engine.wire.messages import Changes, Token, encode
from rules.audience import Audience
from rules.change import KINDS_OF_CHANGE, Change, Kind, PersonId
from tests.builders import NOW, TODAY, a_change, publications
from tests.district import ADA, GRANDMOTHER, KEYRING, MOTHER, UNCLE, scored
from tests.engine.cli.commands import Bell

MORNING_IN_CHICAGO = "2026-11-23 08:30:00 assignment (score)"
IPHONE = "ab" * 32


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def bell(original: Bell, tmp_path: Path) -> Iterator[Bell]:
    """An installed district that this test may spoil."""
    bell = original.copy_to(tmp_path)
    yield bell
    bell.close()


def database(bell: Bell) -> sqlite3.Connection:
    return sqlite3.connect(bell.folder / "bell.db", isolation_level=None)


def spoil(bell: Bell, statement: str) -> None:
    """Somebody changes the database behind our back."""
    connection = database(bell)
    connection.execute(statement)
    connection.close()


def evaluate(bell: Bell, *changes: Change) -> None:
    """Let changes be evaluated, as the engine would."""
    bell.district().evaluate(changes)


# Installing


@pytest.fixture
def bare(tmp_path: Path) -> Bell:
    """A SIS on which nothing is installed."""
    return Bell.with_sis_only(tmp_path)


def test_install_says_what_it_made_and_what_is_left_to_do(bare: Bell) -> None:
    said = bare("install")

    assert "are at revision" in said
    assert "Changes of 14 tables are captured" in said
    assert "9 people, 3 students, 7 rights" in said
    assert "`schoolbell enable` switches them on" in said


def test_install_may_be_run_again_and_changes_nothing(bare: Bell) -> None:
    def schema() -> list[tuple[str]]:
        connection = database(bare)
        found = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
        connection.close()
        return found

    first = bare("install")
    made = schema()

    assert bare("install") == first
    assert schema() == made


def test_install_leaves_the_district_as_it_was_switched(bell: Bell) -> None:
    assert "switches them on" not in bell("install")


def test_install_makes_our_tables_and_alters_none_of_the_schools(bare: Bell) -> None:
    def tables() -> dict[str, str]:
        connection = database(bare)
        found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        connection.close()
        return found

    before = tables()
    bare("install")

    ours = ("sqlite_", PREFIX)
    assert {name: sql for name, sql in tables().items() if not name.startswith(ours)} == before


# Switching


def test_the_district_is_switched_off_and_on(bell: Bell) -> None:
    off = bell("disable")
    was_on = bell.ask(settings.is_enabled)
    on = bell("enable")

    assert (off, was_on) == ("Push notifications are off for the whole district.\n", False)
    assert (on, bell.ask(settings.is_enabled)) == (
        "Push notifications are on for the whole district.\n",
        True,
    )


@pytest.mark.parametrize(("word", "offered"), [("on", True), ("off", False)])
def test_food_service_is_switched(bell: Bell, word: str, offered: bool) -> None:
    assert bell("food-service", word) == f"Food service is {word}.\n"
    assert bell.ask(settings.circumstances, TODAY).food_service is offered


def test_a_tool_is_hidden_and_shown(bell: Bell) -> None:
    which = ("--school", "1", "--kind", "grade", "--audience", "guardian")

    said = bell("display-option", *which, "hide")
    hidden = bell.ask(settings.circumstances, TODAY).options.hidden
    bell("display-option", *which, "show")

    assert said == "School 1 hides grade to the audience guardian.\n"
    assert hidden == {("1", Kind.GRADE, Audience.GUARDIAN)}
    assert bell.ask(settings.circumstances, TODAY).options.hidden == frozenset()


# The app


def test_a_person_signs_in_and_subscribes_and_would_be_told(bell: Bell) -> None:
    spoil(bell, f"UPDATE schoolbell_rights SET portal = TRUE WHERE person_id = '{GRANDMOTHER}'")

    signed_in = bell("sign-in", "--person", GRANDMOTHER, "--kind", "apns", "--token", IPHONE)
    chosen = bell(
        *("subscribe", "--person", GRANDMOTHER, "--student", ADA, "--kind", "grade"),
        *("--below", "60", "--below", "72.5"),
    )

    assert re.fullmatch(rf"Person {GRANDMOTHER} is signed in on device \d+\.\n", signed_in)
    assert chosen == f"Person {GRANDMOTHER} hears of grade, below 72.5 % and 60 %.\n"
    said = bell("why", "--student", ADA, "--person", GRANDMOTHER)
    assert re.search(
        r"✓ grade +would be told, if the change itself passes and falls below 72\.5 % or 60 %\n",
        said,
    )
    assert re.search(r"✗ attendance +The person has not switched this kind on", said)


def test_a_person_signs_out_and_is_told_no_more(bell: Bell) -> None:
    spoil(bell, f"UPDATE schoolbell_rights SET portal = TRUE WHERE person_id = '{GRANDMOTHER}'")
    bell("subscribe", "--person", GRANDMOTHER, "--student", ADA, "--kind", "grade")
    signed_in = bell("sign-in", "--person", GRANDMOTHER, "--kind", "apns", "--token", IPHONE)
    device = re.findall(r"\d+", signed_in)[-1]

    signed_out = bell("sign-out", "--person", GRANDMOTHER, "--device", device)

    assert signed_out == f"Person {GRANDMOTHER} is signed out on device {device}.\n"
    assert "would be told" not in bell("why", "--student", ADA, "--person", GRANDMOTHER)


def test_a_person_may_stop_hearing_of_a_kind(bell: Bell) -> None:
    which = ("--person", MOTHER, "--student", ADA, "--kind", "grade")

    assert bell("subscribe", *which, "--off") == f"Person {MOTHER} does not hear of grade.\n"


def test_a_token_is_not_repeated(bell: Bell) -> None:
    result = bell.run("sign-in", "--person", "34", "--kind", "apns", "--token", IPHONE)

    assert IPHONE not in result.output


def test_signing_in_without_staying_is_possible(bell: Bell) -> None:
    bell("sign-in", "--person", "36", "--kind", "apns", "--token", IPHONE, "--no-stay")

    said = bell("why", "--student", ADA, "--person", "36")
    assert "no portal right" in said


# The inbox


def test_the_inbox_lists_what_a_person_was_told_and_what_is_new(bell: Bell) -> None:
    before = bell("inbox", "--person", MOTHER)
    evaluate(bell, scored(9, 17))

    new = bell("inbox", "--person", MOTHER)
    seen = bell("inbox", "--person", MOTHER, "--seen")

    assert before == f"Person {MOTHER} was told nothing, or nothing that is still kept.\n"
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  new +\w.*\n    .*17.*\n", new)
    assert (new.splitlines()[-1], seen.splitlines()[-1]) == (
        "1 of these are new.",
        "0 of these are new.",
    )


def test_an_entry_that_was_read_is_read(bell: Bell) -> None:
    evaluate(bell, scored(9, 17))
    (entry,) = re.findall(r"entry (\S+)", bell("inbox", "--person", MOTHER))

    said = bell("inbox", "--person", MOTHER, "--seen", "--read", entry)

    assert re.search(r"\d  read +\w", said)


def test_the_inbox_of_who_was_not_told_is_empty(bell: Bell) -> None:
    evaluate(bell, scored(9, 17))

    assert "was told nothing" in bell("inbox", "--person", UNCLE)


# Why


def test_why_shows_each_decision_gate_by_gate_and_how_things_stand(bell: Bell) -> None:
    change = scored(9, 17)
    evaluate(bell, change)

    said = bell("why", "--student", ADA, "--person", UNCLE)

    assert f"2026-11-23 14:30:00 assignment (score), change {change.id}" in said
    assert "✓ student enrolled" in said
    assert "✗ right to the student" in said
    assert "· stay logged in" in said
    assert "RESTRICTED: A restriction stands between this person and the student." in said
    assert "If something changed now:" in said


def test_why_shows_what_became_of_each_push(bell: Bell) -> None:
    evaluate(bell, scored(9, 17, at=utc_now()))

    assert re.search(
        r"device \d+: no answer yet", bell("why", "--student", ADA, "--person", MOTHER)
    )


def test_why_without_any_decision_says_so_and_how_things_stand(bell: Bell) -> None:
    said = bell("why", "--student", ADA, "--person", GRANDMOTHER)

    assert said.startswith("No change about this student was ever decided on for this person.")
    assert said.count("The relation to the student carries no portal right.") == len(
        KINDS_OF_CHANGE
    )


def test_why_of_one_change_shows_that_alone(bell: Bell) -> None:
    change = scored(9, 17)
    evaluate(bell, change, scored(17, 18))

    said = bell("why", "--student", ADA, "--person", MOTHER, "--change", change.id)

    assert said.count(", change ") == 1
    assert "If something changed now" not in said


def test_why_shows_as_many_decisions_as_asked_for(bell: Bell) -> None:
    evaluate(bell, *(scored(points, points + 1) for points in range(4)))

    assert bell("why", "--student", ADA, "--person", MOTHER, "--last", "3").count(", change ") == 3


# The SIS


def test_sync_says_what_the_directory_lists(bell: Bell) -> None:
    assert bell("sync") == (
        "The directory lists 2 schools, 3 calendars, 2 terms, 9 people, 3 students, 7 rights.\n"
    )


def test_capture_is_checked_table_by_table(bell: Bell) -> None:
    said = bell("capture", "check")

    assert said.count("in place") == 14
    assert "Not seen by triggers" in said


def test_a_missing_trigger_is_found_and_mended(bell: Bell) -> None:
    spoil(bell, "DROP TRIGGER schoolbell_springfield_score_update")

    broken = bell.run("capture", "check")
    mended = bell("capture", "install")

    assert broken.exit_code == 1
    assert re.search(r"✗ score +score +missing", broken.stdout)
    assert "✗" not in mended


def test_capture_is_removed_after_a_question(bell: Bell) -> None:
    refused = bell.run("capture", "remove", input="n\n")
    said = bell("capture", "remove", "--yes")

    assert refused.exit_code == 1
    assert "Removed 56 triggers and the outbox." in said


def test_replay_says_how_many_changes_go_again(bell: Bell) -> None:
    spoil(bell, "UPDATE score SET points = points + 1")

    assert bell("replay", "--since", "2026-01-01") == "6 captured changes will be relayed again.\n"
    assert bell("replay", "--since", "2226-01-01") == "0 captured changes will be relayed again.\n"


@pytest.mark.parametrize(
    ("since", "count"),
    [
        ("2026-11-22T08:00:00", 6),  # in Chicago, which is what the technician's watch says
        ("2026-11-22 08:00:01", 0),
        ("2026-11-22T08:00:01Z", 6),
        ("2026-11-22T14:00:00+00:00", 6),
        ("2026-11-22T15:00:01+01:00", 0),
        ("2026-11-22", 6),
        ("2026-11-23", 0),
    ],
)
def test_a_moment_is_read_by_the_district_s_clock(
    bell: Bell, monkeypatch: pytest.MonkeyPatch, since: str, count: int
) -> None:
    monkeypatch.setenv("SCHOOLBELL_DISTRICT__TIMEZONE", "America/Chicago")
    spoil(bell, "UPDATE score SET points = points + 1")
    spoil(bell, "UPDATE schoolbell_outbox_springfield SET at = '2026-11-22T14:00:00.000Z'")

    said = bell("replay", "--since", since)

    assert said == f"{count} captured changes will be relayed again.\n"


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "0001-01-01", "9999-12-31T23:59", ""])
def test_what_is_no_moment_is_refused(bell: Bell, since: str) -> None:
    refused = bell.run("replay", "--since", since)

    assert refused.exit_code == 2
    assert "is no moment" in refused.output


def test_moments_are_shown_by_the_district_s_clock(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOLBELL_DISTRICT__TIMEZONE", "America/Chicago")
    evaluate(bell, scored(9, 17))

    assert MORNING_IN_CHICAGO in bell("why", "--student", ADA, "--person", MOTHER)
    in_chicago = _first_moment(bell("inbox", "--person", MOTHER))
    monkeypatch.setenv("SCHOOLBELL_DISTRICT__TIMEZONE", "UTC")
    in_utc = _first_moment(bell("inbox", "--person", MOTHER))
    assert in_chicago.replace(tzinfo=ZoneInfo("America/Chicago")) == in_utc.replace(tzinfo=UTC)


def _first_moment(shown: str) -> datetime:
    return datetime.fromisoformat(shown[:19])


# Parked


def test_nothing_parked_is_said_so(bell: Bell) -> None:
    assert bell("parked", "list") == "Nothing is parked.\n"


def test_what_is_parked_is_listed_with_what_is_wrong(bell: Bell) -> None:
    change = a_change("cafeteria", after={})
    evaluate(bell, change)

    said = bell("parked", "list")

    assert f"change {change.id}\n  No watch of the source definition is named cafeteria." in said


def test_what_is_parked_is_tried_again(bell: Bell) -> None:
    evaluate(bell, a_change("cafeteria", after={}), a_change("library", after={}))
    district = bell.district()
    district.broker.publisher().publish(Queue.PUSHES, publications([b"not for us"]))
    consumer = district.broker.consumer(Queue.PUSHES, 1)
    (delivery,) = consumer.receive(1, timeout=5)
    consumer.park(delivery, "not readable")

    listed = bell("parked", "list")
    said = bell("parked", "retry")

    assert "message in pushes.dead\n  not readable" in listed
    assert said == "2 changes and 1 messages are on their way again.\n"


def test_a_change_that_is_tried_again_is_on_its_way_as_it_came(bell: Bell) -> None:
    change = a_change("cafeteria", "7", {"a": 1}, {"a": "Zoë"})
    evaluate(bell, change)
    bell("parked", "retry")

    (delivery,) = bell.district().broker.consumer(Queue.CHANGES, 1).receive(1, timeout=5)
    assert delivery.body == encode(Changes([change]))


# Errors


def run_main(*words: str) -> int:
    """Run the program itself; its exit code."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.argv", ["schoolbell", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    structlog.reset_defaults()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        pytest.param(
            ("why", "--student", "999", "--person", "34"),
            "The directory knows no relation of person 34 to student 999.",
            "Check both ids in the SIS",
            id="an unknown person",
        ),
        pytest.param(
            ("why", "--student", ADA, "--person", MOTHER, "--change", "yesterday"),
            "yesterday is not the id of a change.",
            "Ids look like",
            id="no id",
        ),
        pytest.param(
            ("run", "relay"),
            "The embedded broker lives in one process",
            "without a stage",
            id="one stage on the embedded broker",
        ),
    ],
)
def test_a_known_error_is_its_problem_and_its_remedy(
    bell: Bell,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    problem: str,
    remedy: str,
) -> None:
    code = run_main("--config", str(bell.config_file), *words)

    said = capsys.readouterr().err
    assert code == 2
    assert f"Error: {problem}" in said
    assert re.search(f"What to do: .*{re.escape(remedy)}", said)
    assert "Traceback" not in said


def test_a_wrong_configuration_is_an_error_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.toml").write_text("[brocker]\n")

    assert run_main("--config", str(tmp_path / "my.toml"), "status") == 2
    assert "What to do: Did you mean broker?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["status", "run", "enable", "sync", "parked list", "parked retry"]
)
def test_what_needs_an_installed_engine_says_so(
    bare: Bell, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    code = run_main("--config", str(bare.config_file), *words.split())

    said = capsys.readouterr().err
    assert code == 2
    assert "Run `schoolbell install`" in said
    assert "Traceback" not in said


def test_a_broken_template_stops_the_engine_before_it_runs(
    bell: Bell, capsys: pytest.CaptureFixture[str]
) -> None:
    (bell.folder / "texts.toml").write_text(
        '[en.grade.guardian]\ntitle = "{{ course }}"\nbody = "{{ techer }}"\n'
    )
    with bell.config_file.open("a") as file:
        file.write('[wording]\ntemplates_file = "texts.toml"\n')

    assert run_main("--config", str(bell.config_file), "run") == 2
    said = capsys.readouterr().err
    assert "en.grade.guardian: unknown variable techer" in said


@pytest.mark.parametrize(
    "texts",
    ["[en.gradde.guardian]\ntitle = 'x'\nbody = 'y'\n", "[en]\ngrade = 5\n",
     "[en.grade.guardian]\ntitel = 'x'\nbody = 'y'\n", "[english.grade.guardian]\ntitle = 'x'\n",
     "[en.grade.guardian]\ntitle = 5\nbody = 'y'\n", "en = 5"],
)  # fmt: skip
def test_a_templates_file_that_cannot_be_read_is_an_error_with_its_remedy(
    bell: Bell, capsys: pytest.CaptureFixture[str], texts: str
) -> None:
    (bell.folder / "texts.toml").write_text(texts)
    with bell.config_file.open("a") as file:
        file.write('[wording]\ntemplates_file = "texts.toml"\n')

    assert run_main("--config", str(bell.config_file), "run") == 2
    assert "What to do: Write [en.assignment.guardian]" in capsys.readouterr().err


def test_a_second_engine_on_the_same_database_is_refused(
    bell: Bell, capsys: pytest.CaptureFixture[str]
) -> None:
    with bell.district().lock.hold():
        code = run_main("--config", str(bell.config_file), "run")

    assert code == 2
    assert "Another engine (process" in capsys.readouterr().err


def test_what_is_typed_wrong_is_explained(bell: Bell) -> None:
    result = bell.run("subscribe", "--person", "1", "--student", "2", "--kind", "homework")

    assert result.exit_code == 2
    assert "'homework' is not one of 'assignment', 'grade'" in result.output


# Help


def commands(
    command: click.Command, path: str = "schoolbell"
) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from commands(one, f"{path} {name}")


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_explains_itself_and_its_options(path: str) -> None:
    command = COMMANDS[path]

    assert command.help
    assert re.match(r"[A-Z][^.]+[.:]", command.help)
    assert [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_help_needs_neither_a_configuration_nor_a_database(path: str, tmp_path: Path) -> None:
    result = Bell(tmp_path).run(*path.split()[1:], "--help")

    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_version_is_known() -> None:
    assert re.search(r"\d+\.\d+", Bell(Path()).run("--version").output)


def test_a_person_who_signed_in_by_the_app_is_known_to_the_command(bell: Bell) -> None:
    with bell.district().database.write() as connection:
        device = app.sign_in(connection, KEYRING, PersonId("36"), Token("apns", IPHONE), NOW)

    said = bell("sign-in", "--person", "36", "--kind", "apns", "--token", IPHONE)

    assert said == f"Person 36 is signed in on device {device}.\n"
