"""A pytest plugin for a run inside a run: it uses a database of the outer run's PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.postgres import EmbeddedPostgres

URL = "LOCKSTEP_LENT_DATABASE"
"""The environment variable with the URL of an empty database."""


class _LentPostgres:
    def url(self, database: str = "lockstep") -> str:
        return os.environ[URL]


@contextmanager
def _lend(data_dir: Path, **options: Any) -> Iterator[_LentPostgres]:
    yield _LentPostgres()


def pytest_configure(config: pytest.Config) -> None:
    """Uses the lent database instead of starting a PostgreSQL."""
    EmbeddedPostgres.start = staticmethod(_lend)  # type: ignore[method-assign, assignment] # a stand-in
