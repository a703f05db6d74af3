"""How a process gets its application."""

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

import bootstrap
import connections
from core.errors import ConfigurationError, DatabaseUnavailableError
from core.lanes import Transport
from repositories import migrations
from settings import Settings
from tests.support.drive import stand
from tests.support.waiting import wait_until
from wiring import App


class Builds:
    """Replaces the building of the app; a test decides when and how each build ends."""

    def __init__(self) -> None:
        self.begun: list[Future[App]] = []

    def __call__(self, *_: Any) -> App:
        self.begun.append(Future())
        return self.begun[-1].result(120)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    builds = Builds()
    monkeypatch.setattr(bootstrap, "build", builds)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("ServiceBusConnection", "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any")
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
        assert {type(caller.exception(120)) for caller in callers} == {DatabaseUnavailableError}
        assert len(builds.begun) == 1


def test_an_app_that_could_not_be_built_is_built_by_the_next_caller_and_then_kept(builds: Builds) -> None:
    once = bootstrap._Once()
    with stand() as it, ThreadPoolExecutor(1) as threads:
        first = threads.submit(once.get)
        wait_until(lambda: len(builds.begun) == 1)
        builds.begun[0].set_exception(DatabaseUnavailableError("away"))
        assert isinstance(first.exception(120), DatabaseUnavailableError)
        second = threads.submit(once.get)
        wait_until(lambda: len(builds.begun) == 2)
        builds.begun[1].set_result(it.app)
        assert second.result(120) is it.app
        assert once.get() is it.app
        assert len(builds.begun) == 2


@pytest.fixture
def azure_loggers(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.Logger]]:
    """The loggers of Azure's libraries, without levels of their own, in a process that logs from INFO on."""
    caplog.set_level(logging.INFO)
    names = ("azure.servicebus", "azure.storage", "azure.core", "azure.identity", "uamqp")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
    yield loggers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize(("environment", "level"), [({}, logging.WARNING), ({"AZURE_LOG_LEVEL": "INFO"}, logging.INFO)])
def test_the_libraries_of_azure_log_warnings_only_unless_a_setting_asks_for_more(
    azure_loggers: list[logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    level: int,
) -> None:
    monkeypatch.setattr(migrations, "apply", lambda *_, **__: [])
    broker = "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any"
    given = {"DATABASE_URL": "postgresql://nowhere", "ServiceBusConnection": broker, **environment}
    bootstrap.build(Settings.from_environment(given)).close()
    assert [logger.getEffectiveLevel() for logger in azure_loggers] == [level] * 5
    assert logging.getLogger("azure.servicebus._pyamqp.client").getEffectiveLevel() == level


def test_the_log_lines_of_an_app_are_redacted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(migrations, "apply", lambda *_, **__: [])
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)
    broker = "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any"
    given = {"DATABASE_URL": "postgresql://nowhere", "ServiceBusConnection": broker}
    bootstrap.build(Settings.from_environment(given)).close()
    logging.getLogger("azure.servicebus").warning("%s is refused", "https://store.example/a?sig=pssst")
    assert caplog.messages[-1] == "https://store.example/a is refused"


@pytest.mark.parametrize("part", ["blob_accounts", "message_queue", "storage_beside", "queue_counts", "poison_queues"])
def test_an_app_that_cannot_be_built_closes_what_it_has_opened(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Each call tries again: the connections of all tries would stay open."""
    opened: list[str] = []

    class Opened:
        def __init__(self, name: str) -> None:
            self.name = name
            opened.append(name)

        def close(self) -> None:
            opened.remove(self.name)

    def fail(_: Settings) -> None:
        assert "database" in opened
        raise ConfigurationError("the identity is not complete")

    monkeypatch.setattr(connections, "migrated_database", lambda *_: Opened("database"))
    for each in ("blob_accounts", "message_queue", "storage_beside"):
        monkeypatch.setattr(connections, each, lambda _, each=each: Opened(each))
    monkeypatch.setattr(connections, "queue_counts", lambda _: {Transport.SERVICE_BUS: Opened("queue_counts")})
    monkeypatch.setattr(connections, part, fail)
    broker = "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any"
    given = {"DATABASE_URL": "postgresql://nowhere", "ServiceBusConnection": broker}
    with pytest.raises(ConfigurationError, match="not complete"):
        bootstrap.build(Settings.from_environment(given))
    assert opened == []
