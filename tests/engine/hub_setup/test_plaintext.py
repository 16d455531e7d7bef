"""Plain text to another machine: refused, and where it is allowed, told with every command."""

from pathlib import Path

import pytest

from engine.broker.rabbitmq.address import PLAINTEXT_WARNING
from engine.errors import ConfigError
from tests.engine.cli.commands import Bell

NOBODY = "amqp://user:secret@broker.invalid/north"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def bell(original: Bell, tmp_path: Path) -> Bell:
    """An installed district whose configuration this test may change."""
    return original.copy_to(tmp_path)


def add(bell: Bell, *lines: str) -> None:
    with bell.config_file.open("a") as file:
        file.write("\n".join(lines) + "\n")


@pytest.mark.parametrize("section", ["broker", "hub"])
@pytest.mark.parametrize("command", ["install", "run", "status"])
def test_where_it_is_allowed_every_command_says_so_first(
    bell: Bell, section: str, command: str
) -> None:
    add(bell, f"[{section}]", f'url = "{NOBODY}"', "allow_plaintext = true")
    # Without its definition a command ends, so that `run` does not go on for ever.
    add(bell, "[source]", 'definition = "missing.toml"')
    result = bell.run(command, color=True)
    (first, *_) = result.stderr.splitlines()
    assert first.startswith("\x1b[31m\x1b[1m" + PLAINTEXT_WARNING)
    assert f"[{section}] url speaks to broker.invalid" in first
    assert "secret" not in result.output


@pytest.mark.parametrize("url", ["embedded:", "amqp://u:p@localhost/", "amqps://u:p@h/", "what?"])
def test_where_nothing_leaves_in_plain_text_nothing_is_said(bell: Bell, url: str) -> None:
    add(bell, "[broker]", f'url = "{url}"', "allow_plaintext = true")
    assert PLAINTEXT_WARNING not in bell.run("disable").output


def test_where_it_is_not_allowed_the_command_ends(bell: Bell) -> None:
    add(bell, "[broker]", f'url = "{NOBODY}"')
    refused = bell.run("run").exception
    assert isinstance(refused, ConfigError)
    assert "speaks to broker.invalid in plain text" in str(refused)


def test_where_it_is_not_allowed_the_status_says_so(bell: Bell) -> None:
    add(bell, "[broker]", f'url = "{NOBODY}"')
    seen = bell.run("status")
    assert seen.exit_code == 1
    assert "speaks to broker.invalid in plain text" in seen.output
    assert "secret" not in seen.output
