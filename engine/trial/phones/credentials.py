"""The keys and certificates of the phones: made once in a folder, found again after a restart.

A sender gets what the real gateways' consoles would give it, a service account and an APNs key, a
key of its own for browsers, and a CA to trust instead of the public ones.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from engine.secrets.certificates import Authority, Issued
from engine.secrets.private_files import prepare_folder, write_private

PROJECT_ID: Final = "schoolbell-phones"
CLIENT_EMAIL: Final = f"firebase-adminsdk@{PROJECT_ID}.iam.gserviceaccount.com"
CLIENT_ID: Final = "100000000000000000000"
KEY_ID: Final = "PHONES0001"
TEAM_ID: Final = "SCHOOLBELL"
TOPIC: Final = "org.schoolbell.phones"
CONTACT: Final = "mailto:phones@schoolbell.example"

VALIDITY: Final = timedelta(days=3_650)
HOSTS: Final = ("localhost", "127.0.0.1", "::1")

Settings = dict[str, dict[str, Any]]
"""The tables of a configuration: texts, and lists of them."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was made: the files, and the public keys to check signatures with.

    *secret* is what access tokens are sealed with.
    """

    ca_file: Path
    certificate_file: Path
    certificate_key_file: Path
    service_account_file: Path
    apns_key_file: Path
    web_push_key_file: Path
    service_account_key: rsa.RSAPublicKey = field(repr=False)
    apns_key: ec.EllipticCurvePublicKey = field(repr=False)
    secret: bytes = field(repr=False)

    def point_to(self, token_uri: str) -> None:
        """Make the service account name *token_uri*: the port may change, the key does not."""
        account = json.loads(self.service_account_file.read_text("utf-8"))
        if account["token_uri"] != token_uri:
            account["token_uri"] = token_uri
            write_private(self.service_account_file, json.dumps(account, indent=2).encode())

    def settings(self, fcm_endpoint: str, apns_endpoint: str, web_push_host: str) -> Settings:
        """The `[fcm]`, `[apns]` and `[web_push]` tables of a sender's configuration."""
        return {
            "fcm": {
                "project_id": PROJECT_ID,
                "service_account_file": str(self.service_account_file),
                "endpoint": fcm_endpoint,
                "ca_file": str(self.ca_file),
            },
            "apns": {
                "key_file": str(self.apns_key_file),
                "key_id": KEY_ID,
                "team_id": TEAM_ID,
                "topic": TOPIC,
                "endpoint": apns_endpoint,
                "ca_file": str(self.ca_file),
            },
            "web_push": {
                "key_file": str(self.web_push_key_file),
                "contact": CONTACT,
                "hosts": [web_push_host],
                "ca_file": str(self.ca_file),
            },
        }


def prepare(folder: Path) -> Credentials:
    """The credentials in *folder*, made where they are missing."""
    folder = folder.absolute()
    prepare_folder(folder)
    ca, issued = folder / "ca.pem", Issued.named(folder, "server")
    account = folder / "service-account.json"
    apns = folder / f"AuthKey_{KEY_ID}.p8"
    if not (ca.exists() and issued.certificate.exists() and issued.key.exists()):
        issued = _make_certificates(folder)  # they belong together: half a set is none
    if not account.exists():
        write_private(account, _service_account())
    web_push = folder / "web-push.pem"
    for key in (apns, web_push):
        if not key.exists():
            write_private(key, _pem(ec.generate_private_key(ec.SECP256R1())))
    account_pem = json.loads(account.read_text("utf-8"))["private_key"].encode()
    account_key = cast(rsa.RSAPrivateKey, load_pem_private_key(account_pem, None))
    apns_key = cast(ec.EllipticCurvePrivateKey, load_pem_private_key(apns.read_bytes(), None))
    return Credentials(
        ca,
        issued.certificate,
        issued.key,
        account,
        apns,
        web_push,
        account_key.public_key(),
        apns_key.public_key(),
        hashlib.sha256(account_pem).digest(),
    )


def _make_certificates(folder: Path) -> Issued:
    """A certificate for this machine, and the authority that signed it; its key is not kept."""
    authority = Authority.make(folder, "Schoolbell phones CA", VALIDITY)
    issued = authority.serve("server", HOSTS, VALIDITY)
    authority.key_file.unlink()
    return issued


def _service_account() -> bytes:
    """A key file as the Google Cloud console gives it; `point_to` sets its token_uri."""
    pem = _pem(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    account = {
        "type": "service_account",
        "project_id": PROJECT_ID,
        "private_key_id": hashlib.sha256(pem).hexdigest()[:40],
        "private_key": pem.decode(),
        "client_email": CLIENT_EMAIL,
        "client_id": CLIENT_ID,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "",
        "universe_domain": "googleapis.com",
    }
    return json.dumps(account, indent=2).encode()


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
