"""A private PgBouncer before a private PostgreSQL."""

import os
from collections.abc import Sequence
from typing import Final, Literal

import psycopg
from sqlalchemy.engine import make_url

from tests.servers.postgres import USER, PostgresServer
from tests.servers.private import PrivateServer
from tests.servers.processes import HOST, Child, Sandbox, find_program

BINARIES: Final = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin")


class PgBouncer(PrivateServer):
    """Shares a few sessions of *behind* among many clients, in one of PgBouncer's pool modes.

    *roles* are those that may come besides the user of the server's URLs, with their passwords.
    """

    name = "PgBouncer"

    def __init__(
        self,
        behind: PostgresServer,
        mode: Literal["session", "transaction"],
        roles: Sequence[tuple[str, str]] = (),
        *,
        sessions: int = 5,
        binaries: Sequence[str] = BINARIES,
    ) -> None:
        super().__init__()
        self._program = find_program("pgbouncer", binaries)
        self._behind = behind
        self._mode = mode
        self._roles = ((USER, behind.password), *roles)
        self._sessions = sessions
        self._system_user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root

    def through(self, url: str) -> str:
        """The same URL, by way of this pooler."""
        return make_url(url).set(port=self.port).render_as_string(hide_password=False)

    def _prepare(self, sandbox: Sandbox) -> None:
        folder = sandbox.folder_for("settings", user=self._system_user)
        users = folder / "users.txt"
        users.write_text("".join(f'"{name}" "{password}"\n' for name, password in self._roles))
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={HOST} port={self._behind.port}\n"
            f"[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\n"
            f"pool_mode = {self._mode}\ndefault_pool_size = {self._sessions}\n"
        )

    def _launch(self, sandbox: Sandbox) -> Child:
        return sandbox.start(
            [self._program, sandbox.folder / "settings" / "pgbouncer.ini"],
            log="pgbouncer.log",
            user=self._system_user,
        )

    def _is_ready(self) -> bool:
        url = make_url(self.through(self._behind.url)).set(drivername="postgresql")
        try:
            psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
