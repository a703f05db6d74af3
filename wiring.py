"""Wires the parts of the application together, on any database and broker."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controllers.registry import Registry
from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts
from core.lanes import Transport
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
from engine.process.current import outages, shutdown
from engine.process.job_secrets import JobSecrets
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.process.shutdown import Shutdown
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
from repositories.ports import Database, MessageQueue, PoisonQueues, QueueCounts
from settings import Settings


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
