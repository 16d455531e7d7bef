"""Status: what an operator sees at a glance."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from engine.errors import Unavailable
from engine.ports import Depth, Queue
from engine.runtime.district import District
from engine.services.status import Status, look, stalled
from engine.show.status import show_status
from engine.sources.capture import Finding
from engine.store import alarms
from engine.store.alarms import Alarm
from rules.change import Change
from rules.outcomes import Verdict
from rules.privacy import Level
from tests.builders import a_change, an_outcome, publications
from tests.district import build_sis, scored
from tests.engine.cli.commands import CONFIG, Bell

GROWING = {
    *("schoolbell_changes", "schoolbell_decisions", "schoolbell_notifications"),
    *("schoolbell_pushes", "schoolbell_outcomes"),
}
NOW = datetime.now(UTC)  # the command line has the real clock


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def bell(original: Bell, tmp_path: Path) -> Iterator[Bell]:
    """An installed district that this test may spoil."""
    bell = original.copy_to(tmp_path)
    yield bell
    bell.close()


def evaluated(district: District, *changes: Change) -> list[str]:
    """Let changes be evaluated; the ids of their pushes."""
    return [push.id for push in district.evaluate(changes)]


def report(district: District, problem: str = "The key is wrong.") -> None:
    with district.database.write() as connection:
        alarms.report(connection, "gateway", "fcm", problem, "Mend it.", NOW)


def status(bell: Bell) -> tuple[int, str]:
    """The exit code, and what is printed."""
    result = bell.run("status")
    return result.exit_code, result.stdout


def as_json(bell: Bell) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bell.run("status", "--json").stdout)
    return found


def a_status(**differences: Any) -> Status:
    values: dict[str, Any] = {
        "enabled": True,
        "lock_screen": Level.GENERIC,
        "end_to_end": False,
        "captured": [Finding("score", "score", "in place", "nothing")],
        "waiting_rows": 1,
        "lag": timedelta(),
        "queues": {queue: Depth(0, 0) for queue in Queue},
        "changes": 0,
        "outcomes": {},
        "retries": 0,
        "parked": 0,
        "alarms": [],
    }
    return Status(**{**values, **differences})


# Looking


def test_a_fresh_installation_is_healthy(bell: Bell) -> None:
    found = look(bell.district(), NOW)

    assert found.healthy
    assert found.enabled
    assert (found.waiting_rows, found.lag) == (0, timedelta())


def test_rows_that_wait_are_counted_with_the_age_of_the_oldest(bell: Bell) -> None:
    connection = sqlite3.connect(bell.folder / "bell.db", isolation_level=None)
    connection.execute("UPDATE score SET points = points + 1")
    connection.close()

    found = look(bell.district(), datetime.now(UTC) + timedelta(days=2))

    assert found.waiting_rows == 6
    assert timedelta(days=2) <= found.lag < timedelta(days=2, hours=1)


def test_the_changes_and_outcomes_of_the_last_hour_are_counted(bell: Bell) -> None:
    district = bell.district()
    ids = evaluated(district, scored(9, 17, at=NOW), scored(8, 9, at=NOW))
    district.record([an_outcome(one, at=NOW) for one in ids[:2]])
    district.record([an_outcome(ids[2], Verdict.DEFERRED, reason="UNAVAILABLE", at=NOW)])

    found = look(district, NOW)
    later = look(district, NOW + timedelta(hours=3))

    assert (found.changes, found.outcomes) == (2, {"accepted": 2, "deferred": 1})
    assert found.retries == 1
    assert (later.changes, later.outcomes) == (0, {})


def test_a_phone_that_is_refused_and_a_text_that_was_replaced_are_two_things(bell: Bell) -> None:
    district = bell.district()
    ids = evaluated(district, scored(9, 17, at=NOW), scored(8, 9, at=NOW))
    reasons = ("BadDeviceToken", "SUPERSEDED", "SIGNED_OUT")
    district.record(
        [
            an_outcome(one, Verdict.REFUSED, reason=reason, gateway="apns", at=NOW)
            for one, reason in zip(ids, reasons, strict=False)
        ]
    )

    found = look(district, NOW)

    assert found.outcomes == {"refused": 1, "superseded": 1, "signed_out": 1}


def test_what_grows_with_every_push_is_not_read(bell: Bell) -> None:
    """However many there are: a status comes at once."""
    district = bell.district()
    asked: list[str] = []
    event.listen(
        district.database.engine, "before_cursor_execute", lambda *seen: asked.append(seen[2])
    )

    look(district, NOW)

    tables = {name for statement in asked for name in re.findall(r"schoolbell_\w+", statement)}
    assert tables.isdisjoint(GROWING)


def test_what_waits_in_the_queues_is_counted(bell: Bell) -> None:
    district = bell.district()
    district.broker.publisher().publish(Queue.PUSHES, publications([b"1", b"2"]))

    assert look(district, NOW).queues[Queue.PUSHES] == Depth(ready=2, dead=0)


@pytest.mark.parametrize("trouble", ["a parked change", "an alarm", "a dead letter", "no trigger"])
def test_an_engine_with_trouble_is_not_healthy(bell: Bell, trouble: str) -> None:
    district = bell.district()
    match trouble:
        case "a parked change":
            evaluated(district, a_change("cafeteria", after={}))
        case "an alarm":
            report(district)
        case "a dead letter":
            district.broker.publisher().publish(Queue.PUSHES, publications([b"1"]))
            consumer = district.broker.consumer(Queue.PUSHES, 1)
            consumer.park(consumer.receive(1, timeout=5)[0], "not readable")
        case "no trigger":
            with district.database.write() as connection:
                connection.exec_driver_sql("DROP TRIGGER schoolbell_springfield_score_update")

    assert not look(district, NOW).healthy


def test_an_alarm_that_was_not_reported_for_a_day_is_over(bell: Bell) -> None:
    district = bell.district()
    report(district)

    young = look(district, NOW + timedelta(hours=24))
    old = look(district, NOW + timedelta(hours=25))

    assert [alarm.subject for alarm in young.alarms] == ["fcm"]
    assert (young.healthy, old.healthy, old.alarms) == (False, True, [])


AN_ALARM = Alarm("stage", "relay", "Gone.", "Wait.", 1, NOW, NOW)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"parked": 1}, id="parked changes"),
        pytest.param({"alarms": [AN_ALARM]}, id="alarms"),
        pytest.param({"queues": {Queue.CHANGES: Depth(0, 1)}}, id="dead letters"),
        pytest.param({"captured": [Finding("x", "x", "missing", "")]}, id="no trigger"),
        pytest.param({"disk": ("The disk is full.", "Make room.")}, id="the disk"),
    ],
)
def test_one_trouble_is_enough(trouble: dict[str, Any]) -> None:
    assert (a_status().healthy, a_status(**trouble).healthy) == (True, False)


def test_what_is_only_busy_is_healthy() -> None:
    busy = a_status(waiting_rows=9, lag=timedelta(hours=1), retries=5, outcomes={"refused": 1})

    assert busy.healthy


def test_a_district_that_is_off_is_healthy(bell: Bell) -> None:
    bell("disable")

    assert look(bell.district(), NOW).healthy


# Printing


def test_the_status_of_a_healthy_engine_fits_on_a_screen_and_exits_0(bell: Bell) -> None:
    code, said = status(bell)

    assert code == 0
    assert said.splitlines() == [
        "Push notifications   on",
        "Lock screens show    full texts; end-to-end sealing off",
        "Capture              14 watches in place",
        "Not relayed yet      0 rows, the oldest 0 s",
        "Queue changes        0 messages",
        "Queue pushes         0 messages",
        "Queue broadcasts     0 messages",
        "Queue outcomes       0 messages",
        "The last hour        0 changes; pushes: none",
        "Retries planned      0",
        "Parked changes       0",
    ]


def test_a_district_that_is_off_is_said_to_be_so(bell: Bell) -> None:
    bell("disable")

    assert "off, for the whole district" in status(bell)[1]


def test_what_is_wrong_is_shown_with_its_remedy_and_exits_1(bell: Bell) -> None:
    report(bell.district())

    code, said = status(bell)

    assert code == 1
    assert re.search(r"gateway fcm \([^)]+ ago\)\n    The key is wrong\.\n    Mend it\.", said)


def test_a_disk_that_takes_nothing_is_told(bell: Bell) -> None:
    """By a limit of the process, which the kernel keeps for root as well."""
    done = subprocess.run(
        [
            "/bin/sh", "-c", 'ulimit -f 0; exec "$@"', "sh",
            sys.executable, "-B", "-m", "engine.cli", "--config", str(bell.config_file), "status",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "File too large" in done.stdout + done.stderr
    assert "Make room" in done.stdout + done.stderr


def test_the_database_and_its_log_are_for_their_owners_eyes_alone(tmp_path: Path) -> None:
    build_sis(f"sqlite:///{tmp_path / 'sis.db'}")
    (tmp_path / "sis.db").chmod(0o644)
    (tmp_path / "schoolbell.toml").write_text(
        f"{CONFIG}\n[source]\nurl = 'sqlite:///sis.db'\ndefinition = 'reference'\n"
    )
    bell = Bell(tmp_path)
    bell("install")
    with bell.district().database.read():
        modes = {
            file.name: file.stat().st_mode & 0o777
            for file in tmp_path.glob("*.db*")
            if file.suffix != ".lock"
        }
    bell.close()

    assert modes["sis.db"] == 0o644
    assert {modes[name] for name in ("bell.db", "bell.db-wal", "bell.db-shm")} == {0o600}


def test_a_trigger_that_is_gone_is_named(bell: Bell) -> None:
    with bell.district().database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER schoolbell_springfield_score_update")

    code, said = status(bell)

    assert code == 1
    assert "Capture              score missing" in said


def printed(found: Status, capsys: pytest.CaptureFixture[str]) -> str:
    show_status(found, NOW)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("lag", "words"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(days=3, hours=1), "73 h"),
    ],
)
def test_an_age_is_told_in_the_unit_that_fits(
    lag: timedelta, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"1 rows, the oldest {words}\n" in printed(a_status(lag=lag), capsys)


def test_dead_letters_are_shown_beside_their_queue(capsys: pytest.CaptureFixture[str]) -> None:
    queues = {**a_status().queues, Queue.PUSHES: Depth(3, 2)}

    assert "Queue pushes         3 messages, 2 dead-lettered" in printed(
        a_status(queues=queues), capsys
    )


def test_a_task_that_came_often_says_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    earlier = NOW - timedelta(hours=3)
    alarm = Alarm("stage", "relay", "Gone.", "Wait.", 7, earlier, earlier)

    assert "stage relay (3 h ago, 7 times)" in printed(a_status(alarms=[alarm]), capsys)


def test_outcomes_are_listed_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    found = a_status(outcomes={"refused": 1, "accepted": 20, "signed_out": 2})

    assert "pushes: 20 accepted, 1 refused, 2 signed out" in printed(found, capsys)


# JSON


def test_json_holds_everything(bell: Bell) -> None:
    found = as_json(bell)

    assert set(found) == {
        *("enabled", "captured", "waiting_rows", "lag", "queues", "changes", "outcomes"),
        *("retries", "parked", "alarms", "lock_screen", "end_to_end"),
        *("stalled", "broker", "disk"),
    }
    assert found["queues"]["pushes"] == {"ready": 0, "dead": 0, "consumers": None}
    assert found["captured"][0]["state"] == "in place"
    assert found["lag"] == "P0D"


def test_json_exits_1_when_something_is_wrong(bell: Bell) -> None:
    report(bell.district())

    assert bell.run("status", "--json").exit_code == 1
    assert as_json(bell)["alarms"][0]["subject"] == "fcm"


# Standing still


EMPTY = {queue: Depth(0, 0) for queue in Queue}


@pytest.mark.parametrize(
    ("waiting", "lag", "queues", "runs", "hub", "words"),
    [
        (0, 0, EMPTY, False, False, None),
        (3, 0, EMPTY, True, False, None),
        (3, 0, EMPTY, False, False, "the engine does not run"),
        (0, 0, {**EMPTY, Queue.PUSHES: Depth(1, 0)}, False, False, "the engine does not run"),
        (3, 600, EMPTY, None, False, "not relayed"),
        (0, 0, {**EMPTY, Queue.PUSHES: Depth(1, 0, 0)}, None, False, "schoolbell run deliver"),
        (0, 0, {**EMPTY, Queue.PUSHES: Depth(1, 0, 0)}, None, True, "tell its operator"),
        (0, 0, {**EMPTY, Queue.BROADCASTS: Depth(1, 0, 0)}, None, False, "schoolbell run deliver"),
        (0, 0, {**EMPTY, Queue.BROADCASTS: Depth(1, 0, 0)}, None, True, "tell its operator"),
        (0, 0, {**EMPTY, Queue.PUSHES: Depth(1, 0, 1)}, None, False, None),
        (0, 0, {**EMPTY, Queue.PUSHES: Depth(0, 0, 0)}, None, False, None),
    ],
)
def test_what_stands_still_is_said(
    waiting: int,
    lag: int,
    queues: dict[Queue, Depth],
    runs: bool | None,
    hub: bool,
    words: str | None,
) -> None:
    found = stalled(waiting, timedelta(seconds=lag), queues, runs=runs, hub=hub)
    if words is None:
        assert found == []
    else:
        (sentence,) = found
        assert words in sentence
    assert a_status(stalled=found).healthy == (words is None)


def test_an_embedded_engine_is_known_to_run_while_it_does(bell: Bell) -> None:
    district, other = bell.district(), bell.district()
    assert district.lock.is_held is False
    with other.lock.hold():
        assert district.lock.is_held is True
    assert district.lock.is_held is False


def test_a_broker_out_of_reach_hides_nothing_else(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    district = bell.district()
    away = Unavailable("The broker does not answer.", "Wait for it.")

    def fail() -> dict[Queue, Depth]:
        raise away

    monkeypatch.setattr(district.broker, "depths", fail)
    found = look(district, NOW)
    assert found.broker == (away.problem, away.remedy)
    assert found.captured
    assert not found.healthy
