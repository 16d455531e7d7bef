"""A private PostgreSQL: it asks for a password, and what is committed is on the disk."""

import os
import secrets
import signal
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import psycopg
from psycopg import sql

from tests.servers.private import PrivateServer
from tests.servers.processes import HOST, Child, Sandbox, find_program

BINARIES: Final = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/bin", "/usr/bin")
USER: Final = "schoolbell"
_ALWAYS_THERE: Final = "postgres"

_SETTINGS: Final[Mapping[str, object]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",  # in the data folder: kill -9 leaves nothing elsewhere
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer(PrivateServer):
    """A cluster of its own. The user of the URLs is its superuser.

    *settings* are lines of postgresql.conf. fsync is on unless they say otherwise: the tests
    that kill the server rely on it.
    """

    name = "PostgreSQL"
    farewell = signal.SIGINT  # without waiting for clients to leave

    def __init__(
        self, settings: Mapping[str, object] | None = None, *, binaries: Sequence[str] = BINARIES
    ) -> None:
        super().__init__()
        self._postgres = find_program("postgres", binaries)
        self._initdb = find_program("initdb", binaries)
        self._settings = {**_SETTINGS, **(settings or {}), "port": self.port}
        # PostgreSQL refuses to run as root; its package made this user for it.
        self._system_user = "postgres" if os.geteuid() == 0 else None
        self.password = secrets.token_hex(12)

    @property
    def url(self) -> str:
        """The database that every cluster has, for SQLAlchemy."""
        return self.url_of(_ALWAYS_THERE)

    def url_of(self, database: str) -> str:
        """The URL of *database*, for SQLAlchemy."""
        return f"postgresql+psycopg://{USER}:{self.password}@{HOST}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, even while somebody is connected to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def cut(self, ports: Collection[int] | None = None) -> None:
        """End the sessions that come from these local *ports*, or all others."""
        chosen = "true" if ports is None else f"client_port = ANY ('{{{_listed(ports)}}}'::int[])"
        with self._connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE client_port IS NOT NULL AND pid <> pg_backend_pid() AND {chosen}"
            )

    def _prepare(self, sandbox: Sandbox) -> None:
        data = sandbox.folder_for("data", user=self._system_user)
        password = sandbox.folder_for("password", user=self._system_user) / "password"
        password.write_text(self.password)
        password.chmod(0o644)  # in a folder that none but its reader may enter
        sandbox.run(
            [
                self._initdb,
                f"--pgdata={data}",
                f"--username={USER}",
                f"--pwfile={password}",
                "--auth-host=scram-sha-256",
                "--auth-local=reject",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",  # of the new files; what the server writes is synced
            ],
            env=_environment(),
            user=self._system_user,
        )
        with (data / "postgresql.conf").open("a") as configuration:
            for setting, value in self._settings.items():
                configuration.write(f"{setting} = {_quoted(value)}\n")

    def _launch(self, sandbox: Sandbox) -> Child:
        return sandbox.start(
            [self._postgres, "-D", sandbox.folder / "data"],
            log="postgres.log",
            env=_environment(),
            user=self._system_user,
            last_resort=signal.SIGQUIT,  # at once, but the first process takes the others along
        )

    def _is_ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:  # not listening yet, or still recovering
            return False
        return True

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=USER,
            password=self.password,
            dbname=_ALWAYS_THERE,
            connect_timeout=5,
            autocommit=True,
        )


def _listed(numbers: Collection[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _environment() -> dict[str, str]:
    """Ours, without what would point PostgreSQL to another cluster."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**ours, "LC_ALL": "C.UTF-8"}
