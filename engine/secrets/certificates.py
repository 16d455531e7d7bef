"""A certificate authority for trials: its key lies in a file beside what it signs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.errors import ConfigError
from engine.secrets.private_files import read_if_there, write_private

NAME: Final = "Schoolbell trial CA"
CA_VALIDITY: Final = timedelta(days=730)
VALIDITY: Final = timedelta(days=365)

# An hour back, for a machine whose clock is a little behind.
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_SERVES: Final = (ExtendedKeyUsageOID.SERVER_AUTH,)
_PROVES_A_CLIENT: Final = (ExtendedKeyUsageOID.CLIENT_AUTH,)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path

    @classmethod
    def named(cls, folder: Path, name: str) -> Self:
        """The files of *name* in *folder*."""
        return cls(folder / f"{name}.pem", folder / f"{name}.key.pem")

    @property
    def is_there(self) -> bool:
        """Whether both files are there; raises ConfigError for one without the other."""
        found = {file: file.exists() for file in (self.certificate, self.key)}
        for file, other in ((self.certificate, self.key), (self.key, self.certificate)):
            if found[file] and not found[other]:
                raise ConfigError(
                    f"{file} is there without {other.name}, which belongs to it.",
                    f"Put {other.name} back, or move {file.name} away and have both made.",
                )
        return all(found.values())


class Authority:
    """Signs certificates that only who trusts `ca_file` accepts."""

    def __init__(
        self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        self._folder = folder
        self._certificate = certificate
        self._key = key
        self.ca_file, self.key_file = _files(folder).certificate, _files(folder).key

    @classmethod
    def make(cls, folder: Path, name: str = NAME, validity: timedelta = CA_VALIDITY) -> Self:
        """A new one, with its files in *folder*."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), _named(name), key.public_key(), key.public_key())
        certificate = (
            builder.not_valid_before(_now() - _CLOCKS_DIFFER)
            .not_valid_after(_now() + validity)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(_files(folder), certificate, key)
        return cls(folder, certificate, key)

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """The one whose files are in *folder*, or None; raises ConfigError for half of one."""
        files = _files(folder)
        if not files.is_there:
            return None
        try:
            key = load_pem_private_key(read_if_there(files.key) or b"", None)
            return cls(folder, _read(files.certificate), cast(ec.EllipticCurvePrivateKey, key))
        except (ValueError, TypeError):
            raise ConfigError(
                f"{files.certificate} and {files.key.name} are no authority of this command.",
                "Move them away, or name another folder with --out.",
            ) from None

    def require_signed(self, issued: Issued) -> None:
        """Raise ConfigError for a certificate that another authority has signed."""
        try:
            _read(issued.certificate).verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise ConfigError(
                f"{issued.certificate} was not signed by {self.ca_file.name} beside it.",
                f"Move it and {issued.key.name} away to have them made anew.",
            ) from None

    def serve(self, name: str, hosts: tuple[str, ...], validity: timedelta = VALIDITY) -> Issued:
        """A certificate for a server at *hosts*: host names and IP addresses."""
        names = x509.SubjectAlternativeName(list(map(_host, hosts)))
        return self._issue(name, validity, _SERVES, names)

    def admit(self, name: str, validity: timedelta = VALIDITY) -> Issued:
        """A certificate that proves its holder to be the client *name*, and serves nothing."""
        return self._issue(name, validity, _PROVES_A_CLIENT)

    def _issue(
        self,
        name: str,
        validity: timedelta,
        usages: tuple[x509.ObjectIdentifier, ...],
        *extensions: x509.ExtensionType,
    ) -> Issued:
        """With a negative *validity* it has expired. It does not outlive the authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        end = min(_now() + validity, self._certificate.not_valid_after_utc)
        builder = _builder(
            _named(name), self._certificate.subject, key.public_key(), self._key.public_key()
        )
        builder = (
            builder.not_valid_before(min(_now(), end) - _CLOCKS_DIFFER)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        issued = Issued.named(self._folder, name)
        _write(issued, builder.sign(self._key, hashes.SHA256()), key)
        return issued


def serves(certificate: Path, host: str) -> bool:
    """Whether the certificate in a file names *host*."""
    names = _read(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return _host(host) in names


def names_a_host(pem: bytes) -> bool:
    """Whether a certificate has a subject alternative name of a host; its common name is none."""
    try:
        names = (
            x509.load_pem_x509_certificate(pem)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False
    return any(isinstance(name, x509.DNSName | x509.IPAddress) for name in names)


def _read(certificate: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(read_if_there(certificate) or b"")


def _files(folder: Path) -> Issued:
    return Issued.named(folder, "ca")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(issued: Issued, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """The key first: a certificate without one would look whole."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(issued.key, pem)
    write_private(issued.certificate, certificate.public_bytes(Encoding.PEM))


def _now() -> datetime:
    return datetime.now(UTC)
