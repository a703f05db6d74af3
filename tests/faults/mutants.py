"""A copy of the project, to run tests in while one text is replaced."""

import importlib.util
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import lent_postgres
from tests.faults.pytest_forks import Forks
from tests.support import waiting

_ROOT = Path(__file__).parents[2]
_COPIED = (
    *("api", "cli", "client", "controllers", "core", "engine", "local", "repositories"),
    *("telemetry", "tests", "triggers"),
    *(
        "bootstrap.py",
        "connections.py",
        "function_app.py",
        "migrate.py",
        "settings.py",
        "wiring.py",
        "host.json",
        "pyproject.toml",
    ),
)
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)
_TIMEOUT_SECONDS = 1_200.0
_WAIT_SECONDS = "30"
"""For what never comes without the text."""


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
        self._forks = Forks(directory, _TIMEOUT_SECONDS)

    def close(self) -> None:
        """Ends the process in which the tests run."""
        self._forks.close()

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
        """Runs tests by their ids in a process of its own.

        Raises:
            TimeoutError: they have not ended after twenty minutes; they do so soon.
        """
        output = self._directory.with_suffix(".log")
        output.write_text("")
        arguments = ["-p", lent_postgres.__name__, "-p", "no:cacheprovider", "-q", "--tb=short", *tests]
        exit_code = self._forks.run(
            arguments, {lent_postgres.URL: database_url, waiting.SECONDS_NAME: _WAIT_SECONDS}, output
        )
        said = output.read_text()
        return Result(exit_code, frozenset(_FAILED.findall(said)), said)


ALL_PASSED = int(pytest.ExitCode.OK)
SOME_FAILED = int(pytest.ExitCode.TESTS_FAILED)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    if path.suffix == ".py":
        # Python compares times by the second and sizes; both may equal those of the previous text.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
