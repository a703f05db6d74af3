from collections.abc import Iterator
from pathlib import Path

import pytest

from api import dead_letters, health, jobs
from controllers.hello_world import HelloWorld
from tests.support.drive import Stand, stand


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stand]:
    """The application behind the routes, over the fakes."""
    with stand(HelloWorld, max_request_bytes=200, data_dir=tmp_path) as it:
        for module in (jobs, health, dead_letters):
            monkeypatch.setattr(module, "app", lambda: it.app)
        yield it
