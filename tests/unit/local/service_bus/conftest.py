import pytest

from tests.unit.local.service_bus.support import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
