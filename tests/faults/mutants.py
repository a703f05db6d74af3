"""A copy of the project, to run tests in while one text is replaced."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import lent_postgres

_ROOT = Path(__file__).parents[2]
_COPIED = (
    *("api", "cli", "client", "controllers", "core", "engine", "local", "repositories"),
    *("telemetry", "tests", "triggers"),
    *("bootstrap.py", "connections.py", "function_app.py", "migrate.py", "settings.py", "host.json", "pyproject.toml"),
)
_PLUGINS = ("-p", "xdist.plugin", "-p", "pytest_timeout")
"""Those that the configuration names; to load all that are installed takes half of a run."""
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)
_TIMEOUT_SECONDS = 240.0


@dataclass(frozen=True)
class Edit:
    """Replaces a text that a file has exactly once."""

    file: str
    old: str
    new: str = ""


@dataclass(frozen=True)
class Result:
    """The result of a run of tests: pytest's exit code, the ids of failed tests, and its output."""

    exit_code: int
    failed: frozenset[str]
    said: str


class Copy:
    """A copy of the project, whose tests use an empty database lent to them.

    Args:
        directory: where to create it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        for name in _COPIED:
            source = _ROOT / name
            if source.is_dir():
                shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, directory / name)

    @contextmanager
    def edited(self, edits: Sequence[Edit]) -> Iterator[None]:
        """Edits the copy for the length of a block.

        Raises:
            AssertionError: a text is not there exactly once.
        """
        originals = {edit.file: (self._directory / edit.file).read_text() for edit in edits}
        try:
            for edit in edits:
                path = self._directory / edit.file
                text = path.read_text()
                assert text.count(edit.old) == 1, f"{edit.file} has {text.count(edit.old)} times: {edit.old}"
                _write(path, text.replace(edit.old, edit.new))
            yield
        finally:
            for file, text in originals.items():
                _write(self._directory / file, text)

    def run(self, tests: Sequence[str], database_url: str) -> Result:
        """Runs tests by their ids in a process of its own."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", lent_postgres.__name__, "-p", "no:cacheprovider"),
                *(*_PLUGINS, "-q", "--tb=short", *tests),
            ],
            cwd=self._directory,
            env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", lent_postgres.URL: database_url},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
        return Result(run.returncode, frozenset(_FAILED.findall(run.stdout)), run.stdout + run.stderr)


ALL_PASSED = int(pytest.ExitCode.OK)
SOME_FAILED = int(pytest.ExitCode.TESTS_FAILED)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    if path.suffix == ".py":
        # Python compares times by the second and sizes; both may equal those of the previous text.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
