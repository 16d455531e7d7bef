"""What differs between databases is asked of a dialect: nobody else asks which one it is."""

import re
from pathlib import Path

import engine

_ENGINE = Path(engine.__file__).parent
_ASKS = re.compile(
    r"is_sqlite|is_postgres|dialect(\.name)? *(==|!=|in\b)|get_backend_name\(\) *[=!]="
)


def test_nobody_but_a_dialect_asks_which_database_it_is() -> None:
    asking = [
        f"{file.relative_to(_ENGINE)}:{number}"
        for file in sorted(_ENGINE.rglob("*.py"))
        if "dialects" not in file.parts
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1)
        if _ASKS.search(line)
    ]
    assert asking == []


def test_a_dialect_is_one_package_that_no_other_dialect_needs() -> None:
    dialects = {"sqlite", "postgresql"}
    for name in dialects:
        others = "|".join(dialects - {name})
        importing = [
            file.name
            for file in (_ENGINE / "dialects" / name).glob("*.py")
            if re.search(
                rf"^from engine\.dialects\.({others})\b", file.read_text("utf-8"), re.MULTILINE
            )
        ]
        assert importing == []
