"""The commands about lock screens and keys; and that no token is ever to be read anywhere."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from engine.cli.main import main
from engine.errors import ConfigError
from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.secrets import keyring
from engine.store import devices as store
from engine.store import district as settings
from engine.store.tables import devices
from engine.wire.messages import Push, Pushes, encode
from rules.change import Change
from rules.outcomes import Verdict
from rules.privacy import Level
from tests.builders import a_change, an_outcome, publications
from tests.district import ADA, GRANDMOTHER, KEYS, MOTHER, scored
from tests.engine.cli.commands import Bell

TOKEN: Final = b"a token that nobody is to read##".hex()
PUSH_KEY: Final = b"32 bytes that nobody may read ##"
IN_BASE64: Final = b64encode(PUSH_KEY).decode()


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def bell(original: Bell, tmp_path: Path) -> Iterator[Bell]:
    """An installed district that this test may spoil."""
    bell = original.copy_to(tmp_path)
    yield bell
    bell.close()


def privacy(bell: Bell) -> settings.Privacy:
    found: settings.Privacy = bell.ask(settings.privacy)
    return found


def sign_in(bell: Bell, *words: str) -> str:
    """The grandmother signs in; the number of her device."""
    said = bell("sign-in", "--person", GRANDMOTHER, "--kind", "apns", "--token", TOKEN, *words)
    return said.removesuffix(".\n").split()[-1]


def level_of(bell: Bell, device: str) -> str | None:
    query = select(devices.c.privacy).where(devices.c.id == int(device))
    found: str | None = bell.ask(lambda connection: connection.execute(query).scalar_one())
    return found


def evaluate(bell: Bell, *changes: Change) -> list[Push]:
    return list(bell.district().evaluate(changes))


def just_scored(before: float, after: float) -> Change:
    """Ada's score, committed just now: what is old is not worth a push."""
    return scored(before, after, at=utc_now())


# Lock screens


def test_generic_is_chosen_without_a_question(bell: Bell) -> None:
    said = bell("privacy", "generic")

    assert privacy(bell).level is Level.GENERIC
    assert said == "Notifications show that there is something to read, and nothing else.\n"


@pytest.mark.parametrize(("level", "shows"), [("named", "first name"), ("full", "grades")])
def test_more_than_generic_is_asked_for_in_plain_words(bell: Bell, level: str, shows: str) -> None:
    bell("privacy", "generic")

    refused = bell.run("privacy", level, input="n\n")
    after_no = privacy(bell).level
    bell("privacy", level, input="y\n")

    assert shows in refused.output
    assert "the hub, Google and Apple" in refused.output
    assert "a locked phone" in refused.output
    assert (refused.exit_code, after_no) == (1, Level.GENERIC)
    assert privacy(bell).level is Level(level)


def test_a_script_says_yes_beforehand(bell: Bell) -> None:
    bell("privacy", "generic")

    bell("privacy", "full", "--yes")

    assert privacy(bell).level is Level.FULL


def test_to_show_less_nobody_is_asked(bell: Bell) -> None:
    bell("privacy", "full", "--yes")

    bell("privacy", "named")

    assert privacy(bell).level is Level.NAMED


def test_who_asks_for_no_level_is_told_the_present_one(bell: Bell) -> None:
    bell("privacy", "full", "--yes")

    assert "the whole text" in bell("privacy")
    assert privacy(bell).level is Level.FULL


def test_what_is_sealed_is_read_by_nobody_on_the_way(bell: Bell) -> None:
    bell("privacy", "generic")
    bell("end-to-end", "on")

    asked = bell.run("privacy", "full", input="n\n").output

    assert "sealed" in asked
    assert "read by" not in asked


def test_a_script_that_forgot_to_is_refused(bell: Bell) -> None:
    bell("privacy", "generic")

    assert bell.run("privacy", "full").exit_code == 1
    assert privacy(bell).level is Level.GENERIC


def test_status_says_what_lock_screens_show(bell: Bell) -> None:
    bell("privacy", "named", "--yes")
    bell("end-to-end", "on")

    assert "Lock screens show    named texts; end-to-end sealing on" in bell.run("status").stdout
    found = json.loads(bell.run("status", "--json").stdout)
    assert (found["lock_screen"], found["end_to_end"]) == ("named", True)


@pytest.mark.parametrize(("word", "sealed"), [("on", True), ("off", False)])
def test_end_to_end_is_switched(bell: Bell, word: str, sealed: bool) -> None:
    bell("end-to-end", "off" if sealed else "on")

    said = bell("end-to-end", word)

    assert privacy(bell).end_to_end is sealed
    assert said.startswith(f"End-to-end sealing is {word}.\n")


def test_who_seals_is_told_what_phones_then_show(bell: Bell) -> None:
    bell("privacy", "generic")

    assert "show that there is something to read, and nothing else" in bell("end-to-end", "on")


def test_one_device_may_show_less(bell: Bell) -> None:
    device = sign_in(bell)

    said = bell("device", "privacy", "--device", device, "named")
    chosen = level_of(bell, device)
    bell("device", "privacy", "--device", device, "district")

    assert said.startswith(f"Device {device} shows at most the student's first name")
    assert (chosen, level_of(bell, device)) == ("named", None)


def test_a_device_that_is_not_there_is_told(bell: Bell) -> None:
    result = bell.run("device", "privacy", "--device", "999", "named")

    assert "There is no device 999." in str(result.exception)


@pytest.mark.parametrize("key", ["", "c2hvcnQ=", IN_BASE64[:-1], IN_BASE64 + "AAAA", "*" * 44])
def test_a_key_that_is_none_is_refused_and_not_repeated(bell: Bell, key: str) -> None:
    result = bell.run(
        *("sign-in", "--person", MOTHER, "--kind", "apns", "--token", TOKEN, "--push-key", key)
    )

    assert result.exit_code == 2
    assert "not 32 bytes in base64" in result.output
    assert not key or key not in result.output


def test_a_phone_with_a_key_gets_what_only_it_can_read(bell: Bell) -> None:
    bell("end-to-end", "on")
    bell("sign-in", "--person", MOTHER, "--kind", "apns", "--token", TOKEN, "--push-key", IN_BASE64)

    assert [push.token.value for push in evaluate(bell, just_scored(9, 17)) if push.sealed] == [
        TOKEN
    ]


def test_own_short_templates_are_used(bell: Bell) -> None:
    (bell.folder / "words.toml").write_text(
        '[es.generic.guardian]\ntitle = "Escuela"\nbody = "Hay algo."\n'
        '[es.named.assignment.guardian]\ntitle = "{{ student }}"\nbody = "Una nota."\n'
    )
    with bell.config_file.open("a") as file:
        file.write('[wording]\ntemplates_file = "words.toml"\n')

    def text(level: str, points: int) -> list[tuple[str, str]]:
        bell("privacy", level, "--yes")
        pushes = evaluate(bell, just_scored(9, points))
        return [(push.title, push.body) for push in pushes if push.title in ("Escuela", "Ada")]

    assert text("generic", 17) == [("Escuela", "Hay algo.")]
    assert text("named", 18) == [("Ada", "Una nota.")]


def test_an_own_short_template_that_shows_a_value_is_refused(bell: Bell) -> None:
    (bell.folder / "words.toml").write_text(
        '[en.named.grade.guardian]\ntitle = "{{ student }}"\nbody = "{{ after }}"\n'
    )
    with bell.config_file.open("a") as file:
        file.write('[wording]\ntemplates_file = "words.toml"\n')

    with pytest.raises(ConfigError, match=r"en\.named\.grade\.guardian: unknown variable after"):
        _ = bell.district().wording


# Keys


def test_install_makes_a_keyring_for_its_owner_alone(tmp_path: Path) -> None:
    bell = Bell.with_sis_only(tmp_path)

    said = bell("install")

    file = tmp_path / "schoolbell.keys"
    assert f"Device tokens are encrypted with {file}: keep a copy of it." in said
    assert file.stat().st_mode & 0o777 == 0o600


def test_install_does_not_touch_a_keyring_that_is_there(bell: Bell) -> None:
    before = (bell.folder / "schoolbell.keys").read_bytes()

    bell("install")

    assert (bell.folder / "schoolbell.keys").read_bytes() == before


@pytest.mark.parametrize("command", ["install", "run"])
def test_nothing_begins_with_a_keyring_that_others_may_read(bell: Bell, command: str) -> None:
    (bell.folder / "schoolbell.keys").chmod(0o644)

    assert "Run `chmod 600" in str(bell.run(command).exception)


def test_nothing_begins_without_the_keyring(bell: Bell) -> None:
    (bell.folder / "schoolbell.keys").unlink()

    assert "There is no keyring" in str(bell.run("run").exception)
    assert "3 devices are encrypted with its keys" in str(bell.run("install").exception)


def test_keys_are_shown_with_what_they_are_used_for(bell: Bell) -> None:
    said = bell("keys", "show")

    assert said == f"{KEYS[0].id}  made 2026-11-23  3 devices\n"


def test_a_key_that_is_missing_is_shown(bell: Bell) -> None:
    file = bell.folder / "schoolbell.keys"
    keyring.write(file, [keyring.new_key(KEYS[0].created)])

    assert f"{KEYS[0].id}  not in the keyring  3 devices" in bell("keys", "show")


def test_keys_are_rotated(bell: Bell) -> None:
    file = bell.folder / "schoolbell.keys"
    said = bell("keys", "rotate")
    key, *older = keyring.read(file)
    finished = bell("keys", "rotate", "--finish")

    assert older == list(KEYS)
    assert said.startswith(f"3 devices are encrypted anew, with the key {key.id}.\n")
    assert "copy" in said
    assert "`schoolbell keys rotate --finish`" in said
    assert finished.endswith(f"No older key is left in {file}.\n")
    assert list(keyring.read(file)) == [key]
    assert len(evaluate(bell, just_scored(9, 17))) == 3


def test_a_rotation_that_was_not_finished_is_told(bell: Bell) -> None:
    keyring.write(bell.folder / "schoolbell.keys", [keyring.new_key(KEYS[0].created), *KEYS])

    assert "An earlier rotation was not finished" in bell("keys", "rotate")


def test_a_lost_keyring_has_a_way_out(bell: Bell) -> None:
    (bell.folder / "schoolbell.keys").unlink()

    said = bell("keys", "lost", "--yes")
    sign_in(bell)

    assert said.startswith("3 devices are retired.")
    bell("install")
    assert dict(bell.ask(store.uses))[keyring.read(bell.folder / "schoolbell.keys")[0].id] == 1


def test_a_wrong_keyring_is_shown_with_its_remedy(
    bell: Bell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bell.folder / "schoolbell.keys").write_text("not a key")
    command = ["schoolbell", "--config", str(bell.config_file), "keys", "rotate"]
    monkeypatch.setattr("sys.argv", command)

    with pytest.raises(SystemExit):
        main()

    said = capsys.readouterr().err
    assert "is no keyring" in said
    assert "What to do: Put its copy back." in said


# What must not be read anywhere


def test_a_token_and_a_key_stand_nowhere(bell: Bell) -> None:
    """In no output, no log and no file, through all that a district does with a device."""
    district = bell.district()
    which = ("--student", ADA, "--person", MOTHER)
    said = [
        bell.run(
            *("sign-in", "--person", MOTHER, "--kind", "apns", "--token", TOKEN),
            *("--push-key", IN_BASE64),
        )
    ]
    pushes = evaluate(bell, just_scored(9, 17), a_change("no-such-watch"))
    ours = next(push for push in pushes if push.token.value == TOKEN)
    district.record([an_outcome(ours, Verdict.UNREGISTERED, reason="Unregistered")])
    for command in (
        ("status",), ("status", "--json"), ("why", *which), ("why", *which, "--last", "1"),
        ("parked", "list"), ("keys", "show"), ("keys", "rotate"), ("sync",), ("install",),
        ("device", "privacy", "--device", ours.device_id, "named"),
    ):  # fmt: skip
        said.append(bell.run(*command))
    bell.close()

    outputs = [f"{one.output}{one.stderr}{one.exception}" for one in said]
    files = [file.read_bytes() for file in bell.folder.rglob("*") if file.is_file()]

    assert f"device {ours.device_id}: try 1 unregistered" in outputs[3]
    assert any(b"17/20" in file for file in files)  # so the files were looked into
    for secret in (TOKEN, IN_BASE64, PUSH_KEY.decode()):
        assert not [output for output in outputs if secret in output]
        assert not [file for file in files if secret.encode() in file]
    assert not [file for file in files if keyring_secret(bell) in file and b'"keys"' not in file]


def keyring_secret(bell: Bell) -> bytes:
    """The secret as its file spells it."""
    words = (bell.folder / "schoolbell.keys").read_text()
    found = re.search(r'"secret": "([^"]+)"', words)
    assert found
    return found[1].encode()


def test_a_parked_push_does_not_show_its_token(bell: Bell) -> None:
    district = bell.district()
    (push, *_) = evaluate(bell, just_scored(9, 17))
    publisher, consumer = district.broker.publisher(), district.broker.consumer(Queue.PUSHES, 10)
    publisher.publish(Queue.PUSHES, publications([encode(Pushes([push]))]))
    consumer.park(consumer.receive(1, 1.0)[0], "A message is not readable.")

    result = bell.run("parked", "list")

    assert "A message is not readable." in result.stdout
    assert push.token.value not in result.output
