import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import session
from cli.app import app
from client import Lockstep
from tests.support.drive import Stand
from tests.support.http_app import AppTransport, use_app
from tests.unit.api.conftest import health_probe, it, long_waits  # noqa: F401 - fixtures


@dataclass(frozen=True)
class Ran:
    """What a command has printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """The lines of standard output as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


def run_command(*arguments: str, stdin: str | None = None) -> Ran:
    result = CliRunner().invoke(app, arguments, input=stdin, prog_name="lockstep")
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No profile, variable or colour of this machine."""
    for name in ("LOCKSTEP_URL", "LOCKSTEP_KEY", "LOCKSTEP_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCKSTEP_PROFILES", str(tmp_path / "profiles.toml"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def transport() -> AppTransport:
    return AppTransport()


@pytest.fixture
def run(
    it: Stand,  # noqa: F811 - the fixture
    transport: AppTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs a command against the application over the fakes."""
    use_app(it, monkeypatch)
    monkeypatch.setattr(session, "Lockstep", lambda url, key: Lockstep(url, key, transport=transport))
    return run_command
