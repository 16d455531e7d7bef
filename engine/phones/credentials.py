"""The keys and certificates of the phones: made once in a folder, found again after a restart.

A sender gets what the real gateways' consoles would give it, a service account and an APNs key,
and a CA to trust instead of the public ones.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROJECT_ID: Final = "schoolbell-phones"
CLIENT_EMAIL: Final = f"firebase-adminsdk@{PROJECT_ID}.iam.gserviceaccount.com"
CLIENT_ID: Final = "100000000000000000000"
KEY_ID: Final = "PHONES0001"
TEAM_ID: Final = "SCHOOLBELL"
TOPIC: Final = "org.schoolbell.phones"

VALIDITY: Final = timedelta(days=3_650)
NAMES: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)

Settings = dict[str, dict[str, str]]


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
    service_account_key: rsa.RSAPublicKey = field(repr=False)
    apns_key: ec.EllipticCurvePublicKey = field(repr=False)
    secret: bytes = field(repr=False)

    def point_to(self, token_uri: str) -> None:
        """Make the service account name *token_uri*: the port may change, the key does not."""
        account = json.loads(self.service_account_file.read_text("utf-8"))
        if account["token_uri"] != token_uri:
            account["token_uri"] = token_uri
            _write(self.service_account_file, json.dumps(account, indent=2).encode())

    def settings(self, fcm_endpoint: str, apns_endpoint: str) -> Settings:
        """The `[fcm]` and `[apns]` tables of a sender's configuration."""
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
        }


def prepare(folder: Path) -> Credentials:
    """The credentials in *folder*, made where they are missing."""
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, certificate, key = (folder / name for name in ("ca.pem", "server.pem", "server.key"))
    account = folder / "service-account.json"
    apns = folder / f"AuthKey_{KEY_ID}.p8"
    _make_if_missing((ca, certificate, key), _certificates)
    _make_if_missing((account,), _service_account)
    _make_if_missing((apns,), _apns_key)
    account_pem = json.loads(account.read_text("utf-8"))["private_key"].encode()
    account_key = cast(rsa.RSAPrivateKey, load_pem_private_key(account_pem, None))
    apns_key = cast(ec.EllipticCurvePrivateKey, load_pem_private_key(apns.read_bytes(), None))
    return Credentials(
        ca,
        certificate,
        key,
        account,
        apns,
        account_key.public_key(),
        apns_key.public_key(),
        hashlib.sha256(account_pem).digest(),
    )


def _make_if_missing(files: tuple[Path, ...], make: Callable[[], tuple[bytes, ...]]) -> None:
    """Files that belong together are made together: half a set is none."""
    if all(file.exists() for file in files):
        return
    for file, content in zip(files, make(), strict=True):
        _write(file, content)


def _write(file: Path, content: bytes) -> None:
    """Readable by us alone, and never half written."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with open(part, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
        stream.write(content)
    part.replace(file)


def _certificates() -> tuple[bytes, ...]:
    """A CA, a certificate that it signed, and that certificate's key; the CA's key is not kept."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("Schoolbell phones CA")
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key(), ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _certificate(_name("localhost"), ca_name, key.public_key(), ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return ca.public_bytes(Encoding.PEM), certificate.public_bytes(Encoding.PEM), _pem(key)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour back, for a sender whose clock is a little behind.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _service_account() -> tuple[bytes, ...]:
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
    return (json.dumps(account, indent=2).encode(),)


def _apns_key() -> tuple[bytes, ...]:
    return (_pem(ec.generate_private_key(ec.SECP256R1())),)


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
