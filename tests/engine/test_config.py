"""The configuration: what it accepts, and how it explains what it does not."""

import os
import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from engine.config import Config, OidcSettings, load
from engine.errors import ConfigError

EXAMPLE: Final = Path(__file__).parents[2] / "config.example.toml"
PASSWORD: Final = "correct-horse"


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file in the current folder nor a variable of this shell."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SCHOOLBELL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration file in a folder that is not the current one."""

    def write(text: str) -> Path:
        folder = tmp_path / "etc"
        folder.mkdir(exist_ok=True)
        file = folder / "my.toml"
        file.write_text(text, "utf-8")
        return file

    return write


def complaint(file: Path | None) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        load(file)
    return refused.value


# The example


def test_the_example_says_the_defaults() -> None:
    assert Config(**tomllib.loads(EXAMPLE.read_text("utf-8"))) == Config()


def test_the_example_names_every_setting() -> None:
    named = {name: set(keys) for name, keys in tomllib.loads(EXAMPLE.read_text("utf-8")).items()}

    assert named == {
        name: set(type(field.default).model_fields) for name, field in Config.model_fields.items()
    }


def test_the_example_names_every_setting_of_a_section_in_a_section() -> None:
    named = tomllib.loads(EXAMPLE.read_text("utf-8"))["portal"]["oidc"]

    assert set(named) == set(OidcSettings.model_fields)


def test_the_example_can_be_used_as_it_is() -> None:
    assert load(EXAMPLE).broker.embedded


def test_the_example_says_something_of_every_section() -> None:
    for section in re.split(r"^\[\w+\]$", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        assert section.strip().startswith("#")


# Where it comes from


def test_without_a_file_everything_has_its_default() -> None:
    assert load() == Config()


def test_the_file_in_the_current_folder_is_read() -> None:
    Path("schoolbell.toml").write_text('[district]\nid = "springfield"\n')

    assert load().district.id == "springfield"


def test_a_variable_names_the_file(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOLBELL_CONFIG", str(written('[district]\nid = "springfield"\n')))

    assert load().district.id == "springfield"


def test_the_file_that_is_given_wins_over_the_variable(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOLBELL_CONFIG", "/nowhere.toml")

    assert load(written('[district]\nid = "springfield"\n')).district.id == "springfield"


def test_the_environment_wins_over_the_file_setting_by_setting(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOLBELL_RELAY__BATCH", "7")

    config = load(written("[relay]\nbatch = 5\npoll_interval = 3\n"))

    assert (config.relay.batch, config.relay.poll_interval) == (7, timedelta(seconds=3))


def test_the_environment_reaches_into_a_section_in_a_section(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written('[portal.oidc]\nissuer = "https://id.example"\nclient_id = "bell"\n')
    monkeypatch.setenv("SCHOOLBELL_PORTAL__OIDC__CLIENT_SECRET", PASSWORD)
    monkeypatch.setenv("SCHOOLBELL_PORTAL__OIDC__SCOPES", '["openid"]')

    oidc = load(file).portal.oidc

    assert (oidc.client_id, oidc.client_secret, oidc.scopes) == ("bell", PASSWORD, ("openid",))
    assert PASSWORD not in repr(oidc)


def test_a_file_of_a_section_in_a_section_is_beside_the_configuration(
    written: Callable[[str], Path],
) -> None:
    file = written('[portal.oidc]\nca_file = "district.pem"\n')

    assert load(file).portal.oidc.ca_file == file.parent / "district.pem"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('issuer = "http://id.example"', "[portal] oidc.issuer: write an address"),
        ('issuer = "https://id.example"', "client_id is empty"),
        ('issuer = "https://id.example"\nclient_id = "x"', "either client_secret or"),
        ('scopes = ["email"]', "scopes lacks openid"),
        ('domain = "@lincoln"', "[portal] oidc.domain: write it in small letters"),
        ('label = ""', "[portal] oidc.label: write 1 to 60 characters"),
        ('isuer = ""', "[portal] oidc.isuer is no setting (line 2)"),
        ("scopes = [7]", "[portal] oidc.scopes.0: write it in quotes (line 2)"),
    ],
)
def test_a_provider_is_described_wholly(
    written: Callable[[str], Path], text: str, problem: str
) -> None:
    assert problem in complaint(written(f"[portal.oidc]\n{text}\n")).problem


def test_a_wrong_variable_of_a_section_in_a_section_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHOOLBELL_PORTAL__OIDC__ISUER", "x")

    refused = complaint(None)

    assert "[portal] oidc.isuer is no setting (SCHOOLBELL_PORTAL__OIDC__ISUER)" in refused.problem
    assert refused.remedy == "Did you mean issuer?"


def test_a_list_in_the_environment_is_written_as_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHOOLBELL_DELIVER__DISTRICTS", '["north", "south"]')
    lists = load().deliver.districts
    monkeypatch.setenv("SCHOOLBELL_DELIVER__DISTRICTS", "north")

    assert lists == ("north", "south")
    assert "[deliver] districts: write a list" in complaint(None).problem


def test_only_what_is_loaded_hears_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOLBELL_RELAY__BATCH", "7")

    assert (Config().relay.batch, load().relay.batch) == (1_000, 7)


@pytest.mark.parametrize(
    ("text", "lasts"),
    [
        ("0.5", timedelta(milliseconds=500)),
        ("90", timedelta(seconds=90)),
        ('"PT10M"', timedelta(minutes=10)),
        ('"P30D"', timedelta(days=30)),
        ('"00:10:00"', timedelta(minutes=10)),
    ],
)
def test_a_duration_is_seconds_or_iso_8601(
    written: Callable[[str], Path], text: str, lasts: timedelta
) -> None:
    assert load(written(f"[schedule]\nkeep_content = {text}\n")).schedule.keep_content == lasts


def test_a_configuration_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().relay.batch = 3


# Paths


PATHS = """
[source]
definition = "sis.toml"
[database]
url = "sqlite:///data/bell.db"
[fcm]
project_id = "bell"
service_account_file = "keys/fcm.json"
[apns]
key_file = "/keys/apns.p8"
key_id = "K"
team_id = "T"
topic = "org.example.bell"
"""


def test_relative_paths_start_at_the_folder_of_the_file(written: Callable[[str], Path]) -> None:
    file = written(PATHS)
    config = load(file)

    assert config.fcm.service_account_file == file.parent / "keys/fcm.json"
    assert config.source.definition == str(file.parent / "sis.toml")
    assert config.database.url == f"sqlite:///{file.parent}/data/bell.db"


def test_absolute_paths_stay_as_they_are(written: Callable[[str], Path]) -> None:
    assert load(written(PATHS)).apns.key_file == Path("/keys/apns.p8")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/bell.db",
        "sqlite:///:memory:",
        "sqlite://",
        "postgresql+psycopg://bell@db/bell",
    ],
)
def test_a_database_that_is_no_relative_file_stays_where_it_is(
    written: Callable[[str], Path], url: str
) -> None:
    assert load(written(f'[database]\nurl = "{url}"\n')).database.url == url


def test_the_name_of_a_bundled_definition_is_no_path(written: Callable[[str], Path]) -> None:
    assert load(written('[source]\ndefinition = "reference"\n')).source.definition == "reference"


def test_an_empty_path_is_none(written: Callable[[str], Path]) -> None:
    assert load(written('[fcm]\nca_file = ""\n')).fcm.ca_file is None


def test_the_sis_is_in_our_own_database_unless_it_has_one(written: Callable[[str], Path]) -> None:
    ours, theirs = "postgresql+psycopg://bell@db/bell", "postgresql+psycopg://sis@db/sis"

    alone = load(written(f'[database]\nurl = "{ours}"\n'))
    apart = load(written(f'[database]\nurl = "{ours}"\n[source]\nurl = "{theirs}"\n'))

    assert (alone.source_url, apart.source_url) == (ours, theirs)


# Refusals


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        pytest.param("[brocker]", "[brocker] is no setting", "mean broker?", id="section"),
        pytest.param("[broker]\nurll = ''", "[broker] urll is no setting", "mean url?", id="key"),
        pytest.param("brocker = 1", "[brocker] is no setting", "mean broker?", id="stray key"),
        pytest.param(
            "[relay]\nbatches = 5", "[relay] batches is no setting", "mean batch?", id="plural"
        ),
        pytest.param(
            "[broker]\nqqq = 1",
            "[broker] qqq is no setting",
            "config.example.toml shows every setting",
            id="nothing like it",
        ),
    ],
)
def test_what_is_no_setting_is_refused_with_the_nearest_that_is(
    written: Callable[[str], Path], text: str, problem: str, remedy: str
) -> None:
    refused = complaint(written(text))

    assert problem in refused.problem
    assert remedy in refused.remedy


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("SCHOOLBELL_BROKER__URLL", "mean url?"),
        ("SCHOOLBELL_BROCKER__URL", "mean SCHOOLBELL_BROKER__URL?"),
        ("SCHOOLBELL_BROKER_URL", "mean SCHOOLBELL_BROKER__URL?"),
        ("SCHOOLBELL_XYZZY_PLUGH_XYZZY", "SCHOOLBELL_SECTION__KEY"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, remedy: str
) -> None:
    monkeypatch.setenv(variable, "x")

    refused = complaint(None)

    assert "is no setting" in refused.problem
    assert remedy in refused.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[broker]\nurl = 5", "[broker] url: write it in quotes"),
        ("[relay]\nbatch = 'many'", "[relay] batch: write a whole number"),
        ("[relay]\nbatch = 1.5", "[relay] batch: write a whole number"),
        ("[relay]\nbatch = 0", "[relay] batch: must be greater than or equal to 1"),
        ("[fcm]\nca_file = 5", "[fcm] ca_file: write a file's path in quotes"),
        ("[broker]\nallow_plaintext = 'perhaps'", "allow_plaintext: write true or false"),
        ("[deliver]\ntimeout = 'soon'", "[deliver] timeout: write seconds, like 0.5"),
        ("[deliver]\ntimeout = 0", "[deliver] timeout: must be longer than nothing"),
        ("[schedule]\nkeep_content = '-P1D'", "keep_content: must be longer than nothing"),
        ("[log]\nformat = 'xml'", "[log] format: must be 'console' or 'json'"),
        ("[log]\nlevel = 'loud'", "'debug', 'info', 'warning' or 'error'"),
        ("[district]\nid = 'St. Mary'", "[district] id: is made of small letters"),
        ("[deliver]\ndistricts = ['north', 'ca']", "ca is a name that the hub itself needs"),
        ("[district]\ntimezone = 'Mars'", "write one like America/Chicago"),
        ("[district]\ntimezone = 'America'", "write one like America/Chicago"),
        ("[district]\ntimezone = '../zoneinfo/UTC'", "write one like America/Chicago"),
        ("[district]\ntimezone = 'right/UTC'", "write one like America/Chicago"),
        (
            "[fcm]\nservice_account_file = 'key.json'",
            "[fcm]: service_account_file is set and project_id is empty; "
            "write the id of your Firebase project",
        ),
        ("[apns]\nkey_file = 'k.p8'\nteam_id = 'T'\ntopic = 'org.app'", "key_id is empty"),
        ("[apns]\nkey_file = 'k.p8'\nkey_id = 'K'\ntopic = 'org.app'", "team_id is empty"),
        ("[apns]\nkey_file = 'k.p8'\nkey_id = 'K'\nteam_id = 'T'", "topic is empty"),
        ("[broker]\nkey_file = 'us.key'", "[broker]: key_file is set and cert_file is empty"),
        ("[hub]\nkey_file = 'us.key'", "[hub]: key_file is set and cert_file is empty"),
        ("[fcm]\nendpoint = ''", "[fcm] endpoint: write an address that begins with https://"),
        ("[apns]\nendpoint = 'http://x'", "[apns] endpoint: write an address that begins"),
        ("[fcm]\nendpoint = 'https://'", "[fcm] endpoint: write an address that begins"),
        ("[fcm]\nendpoint = 'https://['", "[fcm] endpoint: write an address that begins"),
        ("[fcm]\nendpoint = 'https://u:p@x'", "[fcm] endpoint: write an address that begins"),
        ("[fcm]\nproject_id = '../x'", "[fcm] project_id: write it as it was given to you"),
        ("[fcm]\nproject_id = 'a b'", "[fcm] project_id: write it as it was given to you"),
        ("[fcm]\nproject_id = 'é'", "[fcm] project_id: write it as it was given to you"),
        ("[apns]\ntopic = 'a b'", "[apns] topic: write it as it was given to you"),
        ('[apns]\nkey_id = "a\\nb"', "[apns] key_id: holds what is no character"),
        ("[apns]\nteam_id = 'é'", "[apns] team_id: write it as it was given to you"),
        ('[keys]\nfile = "a\\u0000b"', "[keys] file: holds what is no character"),
        ('[database]\nurl = "sqlite:///a\\u0000b"', "[database] url: holds what is no character"),
        ("[relay]\npoll_interval = 1e-6", "poll_interval: must be greater than or equal to"),
        ("[relay]\npoll_interval = 61", "poll_interval: must be less than or equal to 1 minute"),
        ("[deliver]\ntimeout = 'PT1H'", "timeout: must be less than or equal to 5 minutes"),
        (
            "[schedule]\nretries_every = 'P8D'",
            "retries_every: must be less than or equal",
        ),
        ("[schedule]\nkeep_decisions = 'P99999D'", "keep_decisions: must be less than or equal to"),
        ("[fcm]\nquota_per_minute = 9223372036854775808", "quota_per_minute: must be less than"),
        ("[keys]\nfile = ''", "[keys] file: write a file's path in quotes"),
        ("broker = 5", "[broker]: is a section"),
        ("[[broker]]\nurl = 'x'", "[broker]: is a section"),
    ],
)
def test_a_wrong_value_is_explained(written: Callable[[str], Path], text: str, words: str) -> None:
    assert words in complaint(written(text)).problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# ours\n\n[relay]\nbatch = 0", "batch: must be greater than or equal to 1 (line 4)"),
        ("[relay]\n[hub]\n'url' = 1\nurl= 5", "is not readable as TOML: line 4: what stands there"),
        ("[hub] # x\n  url=5", "[hub] url: write it in quotes (line 2)"),
        ("hub.url = 5", "[hub] url: write it in quotes."),
        ("\n[brocker]", "[brocker] is no setting (line 2)"),
        ("[hub]\nkey_file = 'us.key'", "certificate that the key is for (line 1)"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    written: Callable[[str], Path], text: str, words: str
) -> None:
    assert words in complaint(written(text)).problem


def test_a_mistake_in_the_environment_is_named_with_its_variable(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOLBELL_RELAY__BATCH", "many")

    refused = complaint(written("[relay]\nbatch = 5\n"))

    assert "[relay] batch: write a whole number (SCHOOLBELL_RELAY__BATCH)" in refused.problem


def test_every_mistake_is_named_at_once(written: Callable[[str], Path]) -> None:
    refused = complaint(written("[relay]\nbatch = 0\n[log]\nlevl = 'info'\n"))

    assert "[relay] batch" in refused.problem
    assert "[log] levl" in refused.problem


def test_the_complaint_names_the_file(written: Callable[[str], Path]) -> None:
    assert "my.toml" in complaint(written("[relay]\nbatch = 0\n")).problem


def test_a_file_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    refused = complaint(tmp_path / "nowhere.toml")

    assert "nowhere.toml" in refused.problem
    assert "config.example.toml" in refused.remedy


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    assert "cannot be read" in complaint(tmp_path).problem


def test_what_is_no_toml_is_refused_with_its_place(written: Callable[[str], Path]) -> None:
    assert "line 2" in complaint(written("[relay]\nbatch = \n")).problem


def test_what_is_no_text_is_refused(written: Callable[[str], Path]) -> None:
    file = written("")
    file.write_bytes(b"[relay]\n\xff\xfe")

    assert "line 2 is not in UTF-8" in complaint(file).problem


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_as_windows_writes_it_is_read(written: Callable[[str], Path], end: bytes) -> None:
    file = written("")
    file.write_bytes(b"\xef\xbb\xbf[relay]" + end + b"batch = 7" + end)

    assert load(file).relay.batch == 7


def test_a_file_that_never_ends_is_refused() -> None:
    assert "is larger than" in complaint(Path("/dev/zero")).problem


@pytest.mark.parametrize("path", ["a\0b", "x" * 5_000, "\udcff", "my.toml/x"])
def test_a_path_that_can_be_none_is_refused(written: Callable[[str], Path], path: str) -> None:
    refused = complaint(written("").parent / path)

    assert refused.problem.isprintable()
    assert len(refused.problem) < 500


@pytest.mark.parametrize(
    "value", ["[" * 5_000, "{a=" * 2_000, "[" * 900 + "]" * 900, "9" * 5_000, "2026-02-30"]
)
def test_what_is_nested_too_deeply_or_too_long_is_refused(
    written: Callable[[str], Path], value: str
) -> None:
    assert "my.toml" in complaint(written(f"[relay]\nbatch = {value}\n")).problem


# Passwords


SECRETS = f"""
[database]
url = "postgresql+psycopg://bell:{PASSWORD}@db/bell"
[source]
url = "postgresql+psycopg://sis:{PASSWORD}@db/sis"
[broker]
url = "amqps://bell:{PASSWORD}@mq:5671/bell"
"""


@pytest.mark.parametrize("said", [repr, str])
def test_a_password_is_not_shown(
    written: Callable[[str], Path], said: Callable[[object], str]
) -> None:
    config = load(written(SECRETS))

    for one in (config, config.database, config.source, config.broker):
        assert PASSWORD not in said(one)


@pytest.mark.parametrize(
    "mistake",
    [
        f"[broker]\nurl = ['{PASSWORD}']",
        f"[broker]\nurl = {{ password = '{PASSWORD}' }}",
        f"[relay]\nbatch = '{PASSWORD}'",
        f"broker = '{PASSWORD}'",
        f"[log]\nlevel = '{PASSWORD}'",
        f"[district]\ntimezone = '{PASSWORD}'",
    ],
)
def test_no_complaint_shows_the_value(written: Callable[[str], Path], mistake: str) -> None:
    assert PASSWORD not in str(complaint(written(mistake)))
