"""A school whose database is not ours: its owner, its application, and Schoolbell as a guest."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import psycopg
from sqlalchemy.engine import make_url

from engine.database import Database
from engine.sources.capture import Capture
from engine.sources.definition import Definition, Query
from rules.change import Change
from tests.engine.sources.sis import OWNER, SOURCE, Mark, Program, a_definition, a_watch, conninfo
from tests.servers import PostgresServer

SIS, APPLICATION, BELL = "sis_owner", "sis_application", "bell"
ROLES: Final = {name: secrets.token_hex(8) for name in (SIS, APPLICATION, BELL)}
SCORE: Final = (
    "CREATE TABLE score (id integer PRIMARY KEY, points numeric, comment text,"
    " kid_id integer REFERENCES kid)"
)
KID: Final = "CREATE TABLE kid (id integer PRIMARY KEY, name text)"
FACTS: Final = Query(
    query="SELECT score.id, CAST(score.id AS text) AS record, kid.id AS student_id,"
    " 1 AS school_id, 1 AS calendar_id, TRUE AS released, points AS value"
    " FROM sis.score JOIN sis.kid ON kid.id = score.kid_id"
)
DEFINITION: Final = a_definition(a_watch(table="sis.score"), facts={"score": FACTS})


def make_roles(server: PostgresServer) -> None:
    """Who there is; none of them is more than an ordinary role."""
    with psycopg.connect(conninfo(server.url), autocommit=True) as connection:
        for name, password in ROLES.items():
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")


@dataclass
class School:
    """A database of the SIS; *url* is its administrator's, who is a superuser."""

    url: str
    _programs: list[Program] = field(default_factory=list)
    _databases: list[Database] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.administrator = self.program("")
        self.administrator.write(
            f"ALTER DATABASE {self.name} OWNER TO {SIS}",
            f"CREATE SCHEMA sis AUTHORIZATION {SIS}",
        )
        self.owner = self.program(SIS)
        self.owner.write("SET search_path = sis", KID, SCORE,
            "INSERT INTO kid VALUES (1, 'Ada'), (2, 'Ben')",
            f"GRANT USAGE ON SCHEMA sis TO {APPLICATION}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON kid, score TO {APPLICATION}",
        )  # fmt: skip
        self.application = self.program(APPLICATION)
        self.application.write("SET search_path = sis")

    @property
    def name(self) -> str:
        return str(make_url(self.url).database)

    def url_of(self, role: str) -> str:
        """The database as *role* reaches it."""
        login = {"username": role, "password": ROLES[role]} if role else {}
        return make_url(self.url).set(**login).render_as_string(hide_password=False)

    def program(self, role: str) -> Program:
        """One more connection of *role*; of the administrator where it is empty."""
        connection: Any = psycopg.connect(conninfo(self.url_of(role)), autocommit=True)
        self._programs.append(Program(connection))
        return self._programs[-1]

    def database(self, url: str = "") -> Database:
        """The database as Schoolbell sees it."""
        self._databases.append(Database(url or self.url_of(BELL)))
        return self._databases[-1]

    def capture(self, definition: Definition = DEFINITION) -> Capture:
        """What Schoolbell captures; it waits little for locks."""
        return Capture(self.database(), definition, OWNER, timedelta(milliseconds=50))

    def changes(self) -> list[Change]:
        """Everything that was captured and is not relayed."""
        database = self.database()
        outbox = database.dialect.outbox(database, OWNER, SOURCE, Mark())
        assert outbox.acquire(), "Some other relay holds this outbox."
        found = list(outbox.read(100_000))
        outbox.release()
        return found

    def close(self) -> None:
        for program in self._programs:
            program.connection.close()
        for database in self._databases:
            database.close()
