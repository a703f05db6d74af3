"""The composition root: builds everything once per process, at the first use."""

import atexit
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import connections
from controllers.base import JobController
from controllers.registry import CONTROLLERS, SCHEDULES, Registry
from controllers.schedule import Schedule
from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts
from core.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    EngineFaultError,
    LockstepError,
    QueueUnavailableError,
)
from core.lanes import Transport
from core.log_redaction import redact_logs
from core.messages import ReceivedMessage
from core.telemetry import Telemetry, use
from core.telemetry import telemetry as current_telemetry
from engine.jobs.batch_reader import BatchReader
from engine.jobs.bulk_actions import BulkActions
from engine.jobs.canceller import Canceller
from engine.jobs.end_hooks import EndHooks
from engine.jobs.end_notices import EndNotices
from engine.jobs.failure_reader import FailureReader
from engine.jobs.job_lister import JobLister
from engine.jobs.queue_reader import QueueReader
from engine.jobs.reopener import Reopener
from engine.jobs.result_reader import ResultReader
from engine.jobs.schedule_reader import ScheduleReader
from engine.jobs.scheduler import Scheduler
from engine.jobs.status_reader import StatusReader
from engine.jobs.submission_check import SubmissionCheck
from engine.jobs.submitter import Submitter
from engine.jobs.task_reader import TaskReader
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.connection_budget import ConnectionBudget
from engine.process.job_secrets import JobSecrets
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.process.rescheduling import reschedule
from engine.process.shutdown import Shutdown
from engine.process.transport_router import TransportRouter
from engine.repair.dead_letter_batches import DeadLetterBatches
from engine.repair.dead_letters import DeadLetters
from engine.repair.kept_letters import KeptLetters
from engine.repair.poison_messages import PoisonMessages
from engine.repair.pruner import Pruner
from engine.repair.sweeper import Sweeper
from engine.stages.advancer import Advancer
from engine.stages.contexts import Contexts
from engine.stages.hook_runner import HookRunner
from engine.stages.job_endings import JobEndings
from engine.stages.stage_canceller import StageCanceller
from engine.stages.stage_dispatcher import StageDispatcher
from engine.stages.stage_engine import StageEngine, StageSteps
from engine.stages.stage_results import StageResults
from engine.tasks.handler_runner import HandlerRunner
from engine.tasks.handler_threads import HandlerThreads
from engine.tasks.isolation import Isolation
from engine.tasks.recorder import Recorder
from engine.tasks.releaser import Releaser
from engine.tasks.run_states import RunStates
from engine.tasks.settler import Settler
from engine.tasks.slots import Slots
from engine.tasks.task_reads import JobReader
from engine.tasks.task_runner import TaskRunner
from engine.tasks.worker import Worker
from repositories import migrations
from repositories.ports import Database, MessageQueue, PoisonQueues, QueueCounts
from settings import Settings

logger = logging.getLogger(__name__)

_RELEASE_SECONDS = 5.0
"""How long releasing tasks may take after the grace time: enough, when the database and the broker answer."""

_AZURE_LOGGERS = ("azure.servicebus", "azure.storage", "azure.core", "azure.identity", "uamqp")
"""At INFO, the client of Service Bus logs each step of each connection and link: nine tenths of the lines of an app."""

shutdown = Shutdown()
"""The shutdown of this process."""

outages = OutageWaiter(shutdown.wait, shutdown_wait=shutdown.wait_through_shutdown)
"""The outage waiter of this process; it stops waiting when the process shuts down."""


@dataclass(frozen=True)
class App:
    """The built application: the parts that the triggers and the API call."""

    settings: Settings
    registry: Registry
    database: Database
    queue: MessageQueue
    submitter: Submitter
    canceller: Canceller
    reopener: Reopener
    bulk_actions: BulkActions
    stages: StageEngine
    worker: Worker
    slots: Slots
    dead_letters: DeadLetters
    dead_letter_batches: DeadLetterBatches
    kept_letters: KeptLetters
    poison_messages: PoisonMessages | None
    sweeper: Sweeper
    pruner: Pruner
    scheduler: Scheduler
    schedules: ScheduleReader
    status: StatusReader
    job_lister: JobLister
    task_reader: TaskReader
    failure_reader: FailureReader
    batch_reader: BatchReader
    result_reader: ResultReader
    queues: QueueReader
    connection_budget: ConnectionBudget
    pending_migrations: Callable[[], list[str]]
    close: Callable[[], None]


@dataclass(frozen=True)
class Backends:
    """The two services that an application uses, and the state of its process.

    Attributes:
        database: holds the rows.
        queue: takes the messages.
        pending_migrations: returns the ids of the migrations that the database lacks.
        close: closes the connections to both.
        outages: repeats actions while one of the two is unavailable.
        shutdown: tells whether the process shuts down.
        counts: by transport, counts the messages of its queues; empty if nobody does.
        max_connections: returns how many connections the database takes; the default is no database with a limit.
        blobs: the storage accounts whose blobs jobs may use.
        poison_queues: hold the messages of storage queues that the Functions host has given up on; None without such.
    """

    database: Database
    queue: MessageQueue
    pending_migrations: Callable[[], list[str]]
    close: Callable[[], None]
    outages: OutageWaiter = outages
    shutdown: Shutdown = shutdown
    counts: Mapping[Transport, QueueCounts] = field(default_factory=dict)
    max_connections: Callable[[], int] = lambda: sys.maxsize
    blobs: BlobAccounts = field(default_factory=BlobAccounts)
    poison_queues: PoisonQueues | None = None


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
    storage, poison_queues = connections.storage_beside(settings), connections.poison_queues(settings)
    for part in (*counts.values(), storage, poison_queues):
        if part is not None:
            opened.callback(part.close)
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


def wire(settings: Settings, registry: Registry, backends: Backends) -> App:
    """Builds the application on any database and broker."""
    database, queue = backends.database, backends.queue
    limits = _limits(settings)
    services = Services(settings.data_dir, settings.allowed_source_hosts, database, backends.blobs)
    threads = HandlerThreads(settings.worker_threads)
    isolation = Isolation(registry.controller_of_task, services, settings.max_result_bytes, backends.shutdown)

    def close() -> None:
        threads.close()
        isolation.close()
        backends.close()

    shared = _Shared(registry, backends, limits, services, backends.outages.through_shutdown())
    secrets = JobSecrets(database, registry)
    notices = _end_notices(settings, database, queue)
    hooks = EndHooks(queue, registry, notices)
    waiting = WaitingJobs(database, queue, hooks)
    endings = JobEndings(database, queue, secrets, hooks, waiting)
    steps = _stage_steps(shared, endings, waiting)
    recorder = Recorder(database, queue, limits, shared.through_shutdown)
    releaser = Releaser(database, queue)
    runner = TaskRunner(database, _handlers(shared, secrets, isolation), threads, releaser, limits, backends.shutdown)
    settler = Settler(recorder, releaser, limits, shared.through_shutdown)
    slots = Slots(database, queue, registry, limits)
    submitter = Submitter(database, queue, registry, SubmissionCheck(services), waiting)
    letters = DeadLetters(database, queue, recorder, endings, limits)
    letter_batches, poison = DeadLetterBatches(database, letters, backends.shutdown.wait), backends.poison_queues
    canceller, reopener = Canceller(database, queue, hooks, waiting), Reopener(database, queue, registry, waiting)
    return App(
        settings=settings,
        registry=registry,
        database=database,
        queue=queue,
        submitter=submitter,
        canceller=canceller,
        reopener=reopener,
        bulk_actions=BulkActions(database, canceller, reopener, limits),
        stages=StageEngine(database, queue, registry, steps, endings),
        worker=Worker(database, queue, runner, settler, slots, limits, backends.outages),
        slots=slots,
        dead_letters=letters,
        dead_letter_batches=letter_batches,
        kept_letters=KeptLetters(database, queue),
        poison_messages=PoisonMessages(poison, letter_batches) if poison is not None else None,
        sweeper=Sweeper(database, queue, slots, waiting, limits, notices),
        pruner=Pruner(database, limits),
        scheduler=Scheduler(database, registry, submitter),
        schedules=ScheduleReader(database, registry),
        status=StatusReader(database, secrets),
        job_lister=JobLister(database, secrets),
        task_reader=TaskReader(database, secrets),
        failure_reader=FailureReader(database, secrets),
        batch_reader=BatchReader(database, secrets),
        result_reader=ResultReader(database, secrets),
        queues=QueueReader(database, backends.counts or {settings.transport: None}),
        connection_budget=ConnectionBudget(
            settings.max_instances, settings.worker_processes, settings.database_pool_size, backends.max_connections
        ),
        pending_migrations=backends.pending_migrations,
        close=close,
    )


@dataclass(frozen=True)
class _Shared:
    """What the parts of one application share."""

    registry: Registry
    backends: Backends
    limits: Limits
    services: Services
    through_shutdown: OutageWaiter


def _limits(settings: Settings) -> Limits:
    return Limits(
        worker=settings.worker,
        dispatch_parallel=settings.dispatch_parallel,
        dispatch_ahead=settings.dispatch_ahead,
        dispatch_slice_seconds=settings.dispatch_slice_seconds,
        lease_seconds=settings.lease_seconds,
        sweep_age_seconds=settings.sweep_age_seconds,
        silence_seconds=settings.silence_seconds,
        retention_days=settings.retention_days,
        max_result_bytes=settings.max_result_bytes,
        message_per=settings.message_per,
    )


def _stage_steps(shared: _Shared, endings: JobEndings, waiting: WaitingJobs) -> StageSteps:
    """What a message about a job can ask for."""
    backends, limits = shared.backends, shared.limits
    database, queue, shutdown = backends.database, backends.queue, backends.shutdown
    contexts = Contexts(database, shared.services)
    return StageSteps(
        StageDispatcher(database, queue, contexts, limits, shutdown),
        Advancer(database, queue, contexts, endings, StageResults(database, contexts, limits, shutdown)),
        StageCanceller(database, queue, limits),
        HookRunner(database, queue, shared.registry, contexts, limits, shared.through_shutdown),
        waiting,
    )


def _handlers(shared: _Shared, secrets: JobSecrets, isolation: Isolation) -> HandlerRunner:
    """What runs the handler of one task."""
    database, limits, outages = shared.backends.database, shared.limits, shared.backends.outages
    reads = JobReader(database, shared.registry, limits, outages)
    states = RunStates(database, limits, outages)
    return HandlerRunner(shared.registry.task_type, shared.services, secrets, reads, states, isolation)


def _end_notices(settings: Settings, database: Database, queue: MessageQueue) -> EndNotices | None:
    if settings.job_events is None:
        return None
    return EndNotices(database, queue, settings.job_events, f"/lockstep/{settings.site_name}")


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
