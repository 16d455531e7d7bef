"""The command `schoolbell`, as somebody types it, over a district in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from click.testing import CliRunner, Result

from engine.cli.main import cli
from engine.config import load
from engine.runtime.district import District
from engine.secrets import keyring
from tests.district import KEYS, build, build_sis

CONFIG = """
[district]
id = "springfield"
[database]
url = "sqlite:///bell.db"
[log]
format = "json"
"""


@dataclass
class Bell:
    """A folder with a configuration and its database."""

    folder: Path
    _opened: list[District] = field(default_factory=list)

    @classmethod
    def with_sis_only(cls, folder: Path) -> Bell:
        """Nothing is installed yet."""
        (folder / "schoolbell.toml").write_text(CONFIG)
        build_sis(f"sqlite:///{folder / 'bell.db'}")
        return cls(folder)

    @classmethod
    def installed(cls, folder: Path) -> Bell:
        """The small district, installed and switched on."""
        (folder / "schoolbell.toml").write_text(CONFIG)
        build(f"sqlite:///{folder / 'bell.db'}")
        keyring.write(folder / "schoolbell.keys", KEYS)
        bell = cls(folder)
        bell("install")
        return bell

    def copy_to(self, folder: Path) -> Bell:
        """The same again, to spoil."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Bell(folder)

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self.folder / "schoolbell.toml"

    def run(self, *words: str, **how: Any) -> Result:
        """Type a command, and let it end as it will."""
        result = CliRunner().invoke(cli, ["--config", str(self.config_file), *words], **how)
        structlog.reset_defaults()  # the command has sent the log into its own output
        return result

    def __call__(self, *words: str, **how: Any) -> str:
        """Type a command that goes well; what it prints."""
        result = self.run(*words, **how)
        if result.exception:
            raise AssertionError(result.output) from result.exception
        return result.stdout

    def district(self) -> District:
        """The district of this configuration, until `close`."""
        self._opened.append(District(load(self.config_file)))
        return self._opened[-1]

    def ask(self, question: Callable[..., Any], *args: object) -> Any:
        """Ask the store something."""
        district = District(load(self.config_file))
        try:
            with district.database.read() as connection:
                return question(connection, *args)
        finally:
            district.close()

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.pop().close()
