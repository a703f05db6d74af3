"""Lockstep on the whole local stack, measured like the queues that it is compared with."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import count

from typing_extensions import override

from benchmarks import noop
from benchmarks.measure import Measured
from benchmarks.memory import peak_of_children_mib
from benchmarks.noop_app import running_host
from benchmarks.peers.protocol import Peer, Session, measured
from benchmarks.prepared import batches, create_job, in_envelopes, seconds_to_finish
from core.lanes import BATCHES_QUEUE, TASKS_QUEUE
from core.models import StageKey
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.dispatch_window import DispatchWindow
from local.service_bus.process import EmulatorProcess
from repositories import migrations, service_bus
from repositories.pool import ConnectionPool
from repositories.ports import MessageQueue
from repositories.postgres import PostgresDatabase

_LEASE_SECONDS = 600


_SETTINGS = (
    "Two-phase dispatch from one process with the default of batches in flight, the Service Bus emulator, a "
    "Functions host with one worker process; the drain begins with the first claim."
)


class _Session(Session):
    """Dispatches in this process; a host with one worker process runs the tasks."""

    def __init__(
        self, database: PostgresDatabase, queue: MessageQueue, database_url: str, service_bus: str, *, enveloped: bool
    ) -> None:
        self._enveloped = enveloped
        self._database = database
        self._queue = queue
        self._database_url = database_url
        self._service_bus = service_bus
        self._numbers = count(1)
        self._key = StageKey("", 1)
        self._peak_mib = 0.0

    @override
    def enqueue(self, tasks: int) -> None:
        self._key = StageKey(f"{next(self._numbers):032x}", 1)
        create_job(self._database, self._key, tasks)
        lease = DispatchLease(self._database, self._key, _LEASE_SECONDS)
        assert lease.take()
        sender = BatchSender(self._database, self._queue)
        limits = Limits(dispatch_ahead=tasks)  # nobody ends tasks meanwhile
        window = DispatchWindow(self._database, sender, limits, Shutdown(), lease)
        with window.open():
            written = batches(tasks, noop.run, self._key.job_id)
            for batch in in_envelopes(written) if self._enveloped else written:
                window.put_two_phase(batch)
        assert window.unsent_batches == 0
        with self._database.transaction() as work:
            assert work.stages.finish_dispatch(self._key, lease.lease_id, window.total_tasks, window.total_batches)

    @override
    def drain(self, tasks: int) -> float:
        with running_host(self._database_url, self._service_bus, 1) as host:
            seconds = seconds_to_finish(self._database_url, self._key)
            self._peak_mib = max(self._peak_mib, peak_of_children_mib(host.pid))
        return seconds

    @override
    def peak_rss_mib(self) -> float:
        return self._peak_mib


class Lockstep(Peer):
    """A task is a row and a message; a stage, a job and their results follow from the rows."""

    packages = ()
    lacks = "-"

    def __init__(self, *, enveloped: bool = False) -> None:
        self._enveloped = enveloped
        self.settings = f"{'A message for each batch of 100 tasks' if enveloped else 'A message per task'}. {_SETTINGS}"

    @override
    def missing(self) -> str | None:
        return None

    @override
    @contextmanager
    def open(self, database_url: str) -> Iterator[Session]:
        with ExitStack() as parts:
            emulator = parts.enter_context(EmulatorProcess.start())
            database = parts.enter_context(closing(PostgresDatabase(ConnectionPool(database_url, size=16))))
            migrations.apply(database, database_url)
            queue = service_bus.by_connection_string(emulator.connection_string, [TASKS_QUEUE, BATCHES_QUEUE])
            parts.enter_context(closing(queue))
            yield _Session(database, queue, database_url, emulator.connection_string, enveloped=self._enveloped)


PEER = Lockstep()


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs it once (database_url, tasks)."""
    return measured(PEER, arguments["database_url"], int(arguments["tasks"]))
