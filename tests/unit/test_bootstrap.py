"""How a process gets its application."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

import bootstrap
from bootstrap import App
from core.errors import DatabaseUnavailableError
from tests.support.drive import stand
from tests.support.waiting import wait_until


class Builds:
    """Replaces the building of the app; a test decides when and how each build ends."""

    def __init__(self) -> None:
        self.begun: list[Future[App]] = []

    def __call__(self, *_: Any) -> App:
        self.begun.append(Future())
        return self.begun[-1].result(30)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    builds = Builds()
    monkeypatch.setattr(bootstrap, "build", builds)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("ServiceBusConnection", "none")
    return builds


def test_callers_that_come_while_the_app_is_built_share_the_result(builds: Builds) -> None:
    once = bootstrap._Once()
    with ThreadPoolExecutor(4) as threads:
        callers = [threads.submit(once.get) for _ in range(4)]
        wait_until(lambda: len(builds.begun) == 1)
        building = once._building
        assert building is not None
        wait_until(lambda: building._condition._waiters is not None and len(building._condition._waiters) == 3)  # type: ignore[attr-defined] # private
        builds.begun[0].set_exception(DatabaseUnavailableError("away"))
        assert {type(caller.exception(30)) for caller in callers} == {DatabaseUnavailableError}
        assert len(builds.begun) == 1


def test_an_app_that_could_not_be_built_is_built_by_the_next_caller_and_then_kept(builds: Builds) -> None:
    once = bootstrap._Once()
    with stand() as it, ThreadPoolExecutor(1) as threads:
        first = threads.submit(once.get)
        wait_until(lambda: len(builds.begun) == 1)
        builds.begun[0].set_exception(DatabaseUnavailableError("away"))
        assert isinstance(first.exception(30), DatabaseUnavailableError)
        second = threads.submit(once.get)
        wait_until(lambda: len(builds.begun) == 2)
        builds.begun[1].set_result(it.app)
        assert second.result(30) is it.app
        assert once.get() is it.app
        assert len(builds.begun) == 2
