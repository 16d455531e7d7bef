"""Databases that a draft is made of, and what it is made of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from engine.database import Database
from engine.services.source import Drafted, draft

FOLDER = Path(__file__).parent
UNKNOWN_SIS = FOLDER.parents[2] / "acceptance" / "unknown_sis" / "schema.sql"


def made(url: str, script: Path, schema: str = "") -> str:
    """The URL of a database in which a script was run, in a schema of its own if one is named."""
    with closing(Database(url)) as database, database.write() as connection:
        if schema:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
            connection.exec_driver_sql(f"SET LOCAL search_path = {schema}")
        for statement in script.read_text("utf-8").split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    return url


def taken(url: str, schema: str | None = None) -> dict[str, str]:
    """Which table a draft takes for what."""
    return {role: table for role, table in draft(url, schema).taken if table}


def filled(drafted: Drafted, answers: dict[str, str]) -> str:
    """The text of a draft in which a technician has filled in each line that waits.

    *answers* are the words to write, by the beginning of what is asked.
    """
    text = drafted.text
    for one in drafted.waiting:
        answer = next(words for asked, words in answers.items() if one.what.startswith(asked))
        text = text.replace(f"<FILL IN: {one.what}>", answer)
    return text
