"""A certificate authority of our own, for TLS on loopback: the product's, with short lives."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography.x509.oid import ExtendedKeyUsageOID

from engine.secrets.certificates import Authority
from engine.secrets.certificates import Issued as IssuedCertificate

__all__ = ["CertificateAuthority", "IssuedCertificate"]

_A_DAY: Final = timedelta(days=1)
_LOOPBACK: Final = ("localhost", "127.0.0.1")


class CertificateAuthority:
    """Signs certificates that only who trusts `ca_file` will accept."""

    def __init__(self, folder: Path, name: str = "Schoolbell test CA") -> None:
        self._authority = Authority.make(folder, name, 10 * _A_DAY)
        self.ca_file = self._authority.ca_file

    def issue(
        self,
        name: str = "localhost",
        *,
        hosts: tuple[str, ...] = _LOOPBACK,
        valid_for: timedelta = _A_DAY,
    ) -> IssuedCertificate:
        """A certificate for *name* that serves *hosts*.

        With a negative *valid_for* it has already expired.
        """
        return self._authority.serve(name, hosts, valid_for)

    def nameless(self, name: str = "localhost") -> IssuedCertificate:
        """A certificate of a server whose common name alone says whose it is."""
        return self._authority._issue(name, _A_DAY, (ExtendedKeyUsageOID.SERVER_AUTH,))

    def admit(self, name: str) -> IssuedCertificate:
        """A certificate that proves a client's *name*."""
        return self._authority.admit(name, _A_DAY)
