"""What `schoolbell channel` writes, keeps and refuses, before any broker sees it."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.cli.hub_setup import channel
from engine.config import load
from engine.errors import ConfigError
from engine.hub_setup.definitions import hashed
from engine.secrets.certificates import Authority

HOST = "push.example.org"


def type_(*words: str) -> str:
    """Type a command that goes well; what it prints."""
    result = CliRunner().invoke(channel, list(words), standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout


def definitions(folder: Path, *districts: str, host: str = HOST, how: tuple[str, ...] = ()) -> str:
    named = [word for district in districts for word in ("--district", district)]
    return type_("definitions", *named, "--host", host, "--out", str(folder), *how)


def certificates(folder: Path, *districts: str, host: str = HOST) -> str:
    named = [word for district in districts for word in ("--district", district)]
    return type_("certificates", *named, "--host", host, "--out", str(folder))


def password(folder: Path, user: str) -> str:
    """The one in the file that was handed over."""
    return (folder / f"{user}.toml").read_text().split(f"//{user}:")[1].split("@")[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# Definitions


def test_a_password_is_in_one_private_file_alone(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    said = definitions(folder, "north", "south")
    secret = password(folder, "north")
    assert len(secret) >= 32
    holding = [name for name, content in contents(folder).items() if secret.encode() in content]
    assert holding == ["north.toml"]
    assert secret not in said
    assert f"amqps://north:<password>@{HOST}:5671/north" in said
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_is_handed_over_is_a_configuration(tmp_path: Path) -> None:
    definitions(tmp_path, "north")
    north, hub = load(tmp_path / "north.toml"), load(tmp_path / "hub.toml")
    assert north.hub.url == f"amqps://north:{password(tmp_path, 'north')}@{HOST}:5671/north"
    assert hub.broker.url == f"amqps://hub:{password(tmp_path, 'hub')}@{HOST}:5671"
    assert north.hub.ca_file == tmp_path / "ca.pem"


def test_another_port_is_listened_to_and_handed_over(tmp_path: Path) -> None:
    definitions(tmp_path, "north", how=("--port", "443"))
    assert "listeners.ssl.default = 443\n" in (tmp_path / "rabbitmq.conf").read_text()
    assert load(tmp_path / "north.toml").hub.url.endswith(f"@{HOST}:443/north")
    assert load(tmp_path / "hub.toml").broker.url.endswith(f"@{HOST}:443")


def test_the_number_of_partitions_is_that_of_the_queues_and_is_handed_over(
    tmp_path: Path,
) -> None:
    definitions(tmp_path, "north", how=("--partitions", "2"))
    assert load(tmp_path / "north.toml").hub.partitions == 2
    assert load(tmp_path / "hub.toml").broker.partitions == 2
    made = json.loads((tmp_path / "definitions.json").read_text())
    assert [one["name"] for one in made["exchanges"]] == ["schoolbell.2"]
    assert [one["name"] for one in made["queues"]] == [
        *("pushes.dead", "pushes.consumers", "pushes.0", "pushes.1"),
        *("broadcasts.dead", "broadcasts.consumers", "broadcasts.0", "broadcasts.1"),
        *("outcomes.dead", "outcomes.consumers", "outcomes.0", "outcomes.1"),
    ]


def test_a_district_is_told_which_id_it_must_have(tmp_path: Path) -> None:
    definitions(tmp_path, "north")
    assert '[district] must say id = "north"' in (tmp_path / "north.toml").read_text()
    assert "[district]" not in (tmp_path / "hub.toml").read_text()


def test_certificates_are_named_where_there_are_no_passwords(tmp_path: Path) -> None:
    certificates(tmp_path, "north", host="::1")
    definitions(tmp_path, "north", host="::1", how=("--certificates",))
    settings = load(tmp_path / "north.toml").hub
    assert settings.url == "amqps://[::1]:5671/north"
    assert settings.cert_file is not None
    assert settings.cert_file.exists()
    assert settings.key_file is not None
    assert settings.key_file.exists()
    users = json.loads((tmp_path / "definitions.json").read_text())["users"]
    assert {user["password_hash"] for user in users} == {""}


def test_a_password_is_hashed_as_the_broker_hashes_it() -> None:
    # The example of RabbitMQ's documentation, "Credentials and Passwords".
    salt = bytes.fromhex("908DC60A")
    assert hashed("test12", salt) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_each_user_has_a_password_and_a_salt_of_its_own(tmp_path: Path) -> None:
    definitions(tmp_path, "north", "south")
    users = json.loads((tmp_path / "definitions.json").read_text())["users"]
    assert len({user["password_hash"][:5] for user in users}) == 3
    assert len({password(tmp_path, name) for name in ("north", "south", "hub")}) == 3


def test_a_district_that_is_added_leaves_what_was_handed_over_as_it_is(tmp_path: Path) -> None:
    definitions(tmp_path, "north")
    before = contents(tmp_path)
    said = definitions(tmp_path, "north", "south")
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == {
        "definitions.json",
        "south.toml",
    }
    assert f"kept {tmp_path / 'north.toml'}" in said
    assert f"made {tmp_path / 'south.toml'}" in said
    assert '[deliver] districts = ["north", "south"]' in said


def test_a_file_that_was_moved_away_is_made_anew_with_another_password(tmp_path: Path) -> None:
    definitions(tmp_path, "north")
    old = password(tmp_path, "north")
    (tmp_path / "north.toml").unlink()
    definitions(tmp_path, "north")
    assert password(tmp_path, "north") != old


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rabbitmq.conf", "listeners.tcp.default = 5672\n", "holds something else"),
        ("enabled_plugins", "[rabbitmq_shovel].\n", "holds something else"),
        ("definitions.json", '{"rabbit_version": "3.10"}', "not written by this command"),
        ("definitions.json", '{"vhosts": [{"name": "/"}]}', "also holds /"),
        ("definitions.json", "not JSON", "not written by this command"),
        ("hub.toml", "[broker\n", "made for another host"),
        ("hub.toml", "[broker]\nca_file = 'x'\n", "made for another host"),
        ("hub.toml", '[broker]\nurl = "amqps://[hub"\n', "made for another host"),
    ],
)
def test_what_somebody_else_wrote_is_never_overwritten(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=words):
        definitions(tmp_path, "north")
    assert contents(tmp_path) == {name: content.encode()}


@pytest.mark.parametrize(
    ("districts", "host", "how", "words"),
    [
        (("south",), HOST, (), "also holds north"),
        (("north",), "elsewhere.example.org", (), "made for another host"),
        (("north",), HOST, ("--certificates",), "another way to come in"),
        (("north",), HOST, ("--etc", "/opt/rabbitmq"), "holds something else"),
        (("north",), HOST, ("--port", "5672"), "another host, port"),
        (("north",), HOST, ("--partitions", "8"), "number of partitions"),
    ],
)
def test_a_second_run_with_other_words_changes_nothing(
    tmp_path: Path, districts: tuple[str, ...], host: str, how: tuple[str, ...], words: str
) -> None:
    definitions(tmp_path, "north")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=words):
        definitions(tmp_path, *districts, host=host, how=how)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("district", ["hub", "server", "ca", "North", "a.b", "..", "a" * 41, ""])
def test_a_name_that_is_no_district_is_refused(tmp_path: Path, district: str) -> None:
    for command in (definitions, certificates):
        with pytest.raises(click.BadParameter):
            command(tmp_path / "hub", district)
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("host", ["", "push example", "push.example.org:5671", "a@b", "-x", "x/y"])
def test_a_host_that_is_none_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(click.BadParameter):
        definitions(tmp_path / "hub", "north", host=host)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        definitions(tmp_path / "file" / "hub", "north")


# Certificates


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def common_name(certificate: x509.Certificate) -> object:
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return name.value


def test_keys_are_private_and_the_authority_is_called_one_for_a_trial(tmp_path: Path) -> None:
    said = certificates(tmp_path, "north")
    assert "This authority is for a trial" in said
    keys = list(tmp_path.glob("*.key.pem"))
    assert len(keys) == 4
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_client_is_named_and_cannot_pose_as_the_broker(tmp_path: Path) -> None:
    certificates(tmp_path, "north")
    usages = {
        "north": ExtendedKeyUsageOID.CLIENT_AUTH,
        "hub": ExtendedKeyUsageOID.CLIENT_AUTH,
        "server": ExtendedKeyUsageOID.SERVER_AUTH,
    }
    for name, usage in usages.items():
        certificate = read(tmp_path / f"{name}.pem")
        assert common_name(certificate) == name
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(found) == [usage]


def test_a_certificate_does_not_outlive_its_authority(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path, validity=timedelta(days=3))
    issued = authority.admit("north", timedelta(days=30))
    end = read(issued.certificate).not_valid_after_utc
    assert end == read(authority.ca_file).not_valid_after_utc
    assert end - datetime.now(UTC) < timedelta(days=3)


def test_certificates_of_districts_that_are_added_are_signed_by_the_same(tmp_path: Path) -> None:
    certificates(tmp_path, "north")
    before = contents(tmp_path)
    assert "south.pem" in certificates(tmp_path, "north", "south")
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    read(tmp_path / "south.pem").verify_directly_issued_by(read(tmp_path / "ca.pem"))
    assert "nothing, all is there" in certificates(tmp_path, "north", "south")


def test_a_certificate_that_was_moved_away_is_renewed(tmp_path: Path) -> None:
    certificates(tmp_path, "north")
    old = read(tmp_path / "north.pem")
    for name in ("north.pem", "north.key.pem"):
        (tmp_path / name).unlink()
    certificates(tmp_path, "north")
    assert read(tmp_path / "north.pem").serial_number != old.serial_number


def test_certificates_are_not_kept_beside_an_authority_that_did_not_sign_them(
    tmp_path: Path,
) -> None:
    certificates(tmp_path, "north")
    for name in ("ca.pem", "ca.key.pem"):
        (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=r"no ca\.pem that signed them"):
        certificates(tmp_path, "north")
    Authority.make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"was not signed by ca\.pem"):
        certificates(tmp_path, "north")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key.pem", "server.key.pem", "north.pem"])
def test_half_of_a_pair_is_not_made_whole_by_another(tmp_path: Path, lost: str) -> None:
    certificates(tmp_path, "north")
    (tmp_path / lost).unlink()
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="which belongs to it"):
        certificates(tmp_path, "north")
    assert contents(tmp_path) == before


def test_an_authority_that_is_none_is_not_used(tmp_path: Path) -> None:
    for name in ("ca.pem", "ca.key.pem"):
        (tmp_path / name).write_text("not PEM")
    with pytest.raises(ConfigError, match="no authority of this command"):
        certificates(tmp_path, "north")


def test_the_brokers_certificate_is_not_made_for_a_second_host_in_silence(tmp_path: Path) -> None:
    certificates(tmp_path, "north")
    with pytest.raises(ConfigError, match="for another host"):
        certificates(tmp_path, "north", host="elsewhere.example.org")
