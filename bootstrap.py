"""The composition root: builds everything once per process, at the first use."""

import atexit
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from functools import cache, partial
from typing import Any

import connections
from controllers.base import JobController
from controllers.registry import CONTROLLERS, SCHEDULES, Registry
from controllers.schedule import Schedule
from core.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    EngineFaultError,
    LockstepError,
    QueueUnavailableError,
)
from core.log_redaction import redact_logs
from core.messages import ReceivedMessage
from core.telemetry import Telemetry, use
from core.telemetry import telemetry as current_telemetry
from engine.process.current import outages, shutdown
from engine.process.limits import Limits
from engine.process.rescheduling import reschedule
from engine.process.transport_router import TransportRouter
from repositories import migrations
from settings import Settings
from wiring import App, Backends, wire

logger = logging.getLogger(__name__)

_RELEASE_SECONDS = 5.0
"""How long releasing tasks may take after the grace time: enough, when the database and the broker answer."""

_AZURE_LOGGERS = ("azure.servicebus", "azure.storage", "azure.core", "azure.identity", "uamqp")
"""At INFO, the client of Service Bus logs each step of each connection and link: nine tenths of the lines of an app."""


def build(
    settings: Settings,
    controllers: Iterable[type[JobController[Any]]] = CONTROLLERS,
    schedules: Iterable[Schedule] = (),
) -> App:
    """Builds the application on PostgreSQL and its broker, and brings the schema up to date, or sees that it is.

    Raises:
        DatabaseUnavailableError: PostgreSQL is unavailable.
        SchemaBehindError: the schema lacks migrations that the app may not apply.
        ConfigurationError: the job types or the schedules contradict each other.
    """
    redact_logs()
    for name in _AZURE_LOGGERS:
        logging.getLogger(name).setLevel(settings.azure_log_level)
    registry = Registry(controllers, schedules)
    opened = ExitStack()
    try:
        return wire(settings, registry, _backends(settings, registry, opened))
    except BaseException:
        opened.close()  # the next caller tries again, and would open them once more
        raise


def _backends(settings: Settings, registry: Registry, opened: ExitStack) -> Backends:
    """Opens what the settings name; `opened` closes it, the database last."""
    database = opened.enter_context(closing(connections.migrated_database(settings, registry.migrations)))
    blobs = opened.enter_context(closing(connections.blob_accounts(settings)))
    queue = opened.enter_context(closing(connections.message_queue(settings)))
    counts = connections.queue_counts(settings)
    logger.info("messages are sent by %s; connected: %s", settings.transport, ", ".join(sorted(counts)))
    for each in counts.values():
        opened.callback(each.close)
    storage = connections.storage_beside(settings)
    if storage is not None:
        opened.callback(storage.close)
    poison_queues = connections.poison_queues(settings)
    if poison_queues is not None:
        opened.callback(poison_queues.close)
    return Backends(
        database,
        queue if storage is None else TransportRouter(database, queue, storage),
        partial(migrations.pending, database, registry.migrations),
        opened.close,
        counts=counts,
        max_connections=partial(connections.most, settings, database),
        blobs=blobs,
        poison_queues=poison_queues,
    )


class _Once:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: App | None = None
        self._building: Future[App] | None = None

    def get(self) -> App:
        with self._lock:
            if self._app is not None:
                return self._app
            others = self._building
            mine: Future[App] = Future()
            self._building = others or mine
        return others.result() if others else self._build(mine)

    def _build(self, building: Future[App]) -> App:
        """Builds the application; callers that arrive meanwhile share the result instead of building in turn."""
        try:
            telemetry()  # timers ask for the application alone, and the sweep tells of the backlog of a quiet app
            app = build(Settings.from_environment(), CONTROLLERS, SCHEDULES)
        except BaseException as exc:
            with self._lock:
                self._building = None
            building.set_exception(exc)
            raise
        with self._lock:
            self._app = app
        building.set_result(app)
        return app


app = _Once().get
"""Returns the application of this process; the first caller builds it, and gets the error if that fails."""


@cache
def _begin_telemetry() -> None:
    """Begins to tell OpenTelemetry what this process does, if the settings name a collector."""
    try:
        settings = Settings.from_environment()
    except ConfigurationError:
        return  # whatever is called next fails for the same reason, and says so
    if not settings.telemetry_is_on:
        return
    try:
        from telemetry.wiring import begin  # noqa: PLC0415 - takes time and memory, which nobody pays while it is off

        told = begin(settings)
        use(told)
        atexit.register(told.flush)  # a process with nothing to do ends without a drain
    except Exception:  # whatever is wrong with it, it must not keep the app from its work
        logger.exception("telemetry stays off")


_beginning = threading.Lock()
"""Two threads that come first would both begin telemetry, and each log line would be sent twice from then on."""


def telemetry() -> Telemetry:
    """Returns what this process tells its work to; the first caller builds it, before the application is built."""
    with _beginning:
        _begin_telemetry()
    return current_telemetry()


def wait_out_outages(
    action: Callable[[], None], queue_name: str | None = None, received: Sequence[ReceivedMessage] = ()
) -> None:
    """Handles messages; repeats this while it fails, for nearly a message lock, and then reschedules the messages.

    A message that is abandoned at once is also delivered again at once, and soon runs out of deliveries.

    Args:
        action: handles the messages; must be safe to repeat, because a message may be delivered twice. What it raises
            is a fault of PostgreSQL, the broker or the engine: those of job types' code have been handled.
        queue_name: the queue of the messages; None when they cannot be rescheduled, because they are dead letters.
        received: the messages.

    Raises:
        LockstepError: PostgreSQL or the broker is still unavailable, or the messages cannot be rescheduled; the broker
            must deliver them again.
    """
    with shutdown.at_work():
        try:
            outages.run(partial(_known, action), outages.deadline(_lease_seconds()))
        except LockstepError as exc:
            if isinstance(exc, _CANNOT_BE_RESCHEDULED) or queue_name is None or shutdown.requested:
                raise
            logger.exception("%d messages of %s are rescheduled", len(received), queue_name)
            try:
                reschedule(app().database, app().queue, queue_name, received)
            except LockstepError as failure:
                logger.warning("they cannot be rescheduled: %s", failure)
                raise exc from None


_CANNOT_BE_RESCHEDULED = (DatabaseUnavailableError, QueueUnavailableError)
"""To reschedule messages takes PostgreSQL, for its clock, and the broker."""


def _known(action: Callable[[], None]) -> None:
    """Runs an action; turns an error that would not be waited out, and so is not expected here, into one that is."""
    try:
        action()
    except Exception as exc:
        if isinstance(exc, LockstepError) and exc.waited_out:
            raise
        raise EngineFaultError(f"the engine failed with {type(exc).__name__}") from exc


def _lease_seconds() -> float:
    try:
        return Settings.from_environment().lease_seconds
    except ConfigurationError:
        return Limits().lease_seconds  # the action fails for the same reason, and is waited out


def drain() -> None:
    """Lets running tasks end within `SHUTDOWN_GRACE_SECONDS`, then releases the rest; returns when nothing runs.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    grace_seconds = Settings.from_environment().shutdown_grace_seconds
    logger.info("shutting down: running tasks have %g s to end before they are released", grace_seconds)
    if not shutdown.drain(grace_seconds, _RELEASE_SECONDS):
        logger.warning("some tasks could not be released; other workers take them over when their leases expire")
    current_telemetry().flush()
