"""The errors of Schoolbell, a small tree.

    SchoolbellError             something a caller cannot decide; says the problem and the remedy
    ├── ConfigError             the configuration or a source definition is wrong: refuse to start
    │   └── BrokenQuery         one query of the definition: what it does not concern goes on
    │       └── SlowQuery       it takes longer than it may: it is left alone for a while
    ├── Unavailable             a neighbour does not answer now: wait and try the same again
    │   └── StatementTooSlow    a database ended one statement: others may pass
    ├── Misconfigured           a neighbour answers that we are wrong: a person must mend it
    │   └── StatementRefused    a database refuses one statement: others may pass
    │       └── RightMissing    it is right, and we may not
    └── Unprocessable           this one item can never succeed as it is: park it, go on

What is expected (a gate that says no, a dead phone, a busy gateway) is a value, never an error.
"""

from __future__ import annotations


class SchoolbellError(Exception):
    """A problem in one sentence and its remedy in another; both are shown to people.

    Neither may hold a token, a person's name or a score. Where a page shows them they are
    translated: then they are given as *words* with *values* for `%(name)s` in them.
    """

    def __init__(self, problem: str, remedy: str, **values: object) -> None:
        self.words = (problem, remedy)
        self.values = values
        self.problem, self.remedy = (one % values if values else one for one in self.words)
        super().__init__(f"{self.problem} {self.remedy}")


class ConfigError(SchoolbellError):
    """The configuration or a source definition is wrong: refuse to start."""


class BrokenQuery(ConfigError):
    """One query of the source definition cannot be asked: what it does not concern goes on.

    *query* is its name, like `[facts.score]`. An upgrade of the SIS does that to one that was well.
    """

    def __init__(self, query: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.query = query


class SlowQuery(BrokenQuery):
    """One query of the source definition takes longer than it may: it is left alone for a while."""


class Unavailable(SchoolbellError):
    """A database, broker or gateway does not answer now: wait and try the same again."""


class StatementTooSlow(Unavailable):
    """A database ended one statement that took longer than it may: others may pass."""


class Misconfigured(SchoolbellError):
    """A database, broker or gateway answers that our side is wrong: a person must mend it."""


class StatementRefused(Misconfigured):
    """A database refuses one statement: a table, a column or a right is missing."""


class RightMissing(StatementRefused):
    """The statement is right, and the user whom the database knows us as may not run it."""


class Unprocessable(SchoolbellError):
    """This one item can never succeed as it is: park it with the reason and go on."""
