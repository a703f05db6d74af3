from collections.abc import Iterator

import pytest

from client import Lockstep
from tests.support.drive import Stand
from tests.support.http_app import AppTransport, use_app
from tests.unit.api.conftest import health_probe, it, long_waits  # noqa: F401 - fixtures

URL = "https://jobs.example"


@pytest.fixture
def transport() -> AppTransport:
    return AppTransport()


@pytest.fixture
def client(
    it: Stand,  # noqa: F811 - the fixture
    transport: AppTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lockstep]:
    """A client of the application over the fakes."""
    use_app(it, monkeypatch)
    with Lockstep(URL, transport=transport) as client:
        yield client
