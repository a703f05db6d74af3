"""The lines of the modelled cloud: the dispatch with real waits, or with the credits of Standard."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from typing_extensions import override

from benchmarks import design_note
from benchmarks.dispatch_lines import Bench, batches, create_stage, limits_of_one_slice
from benchmarks.measure import Measured
from benchmarks.prepared import in_envelopes
from controllers.base import DispatchProtocol
from core.messages import OutgoingMessage
from core.models import StageKey
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.dispatch_window import DispatchWindow
from repositories.ports import Database, MessageQueue, SendResult, TransactionKind, UnitOfWork

SEND_SECONDS = 0.2
DATABASE_SECONDS = 0.05
"""The design note's latencies: of a send of up to 100 messages, and of a call of the database, here a transaction."""

_REDISPATCH_SECONDS = 1.0
"""The pause before batches that the broker refused are sent again: the engine's first one."""


class SlowDatabase(Database):
    """A database whose transactions take some time more, while they hold a connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    @contextmanager
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> Iterator[UnitOfWork]:
        with self._database.transaction(kind) as work:
            time.sleep(DATABASE_SECONDS)
            yield work


class SlowQueue(MessageQueue):
    """A broker whose sends take some time more."""

    def __init__(self, queue: MessageQueue) -> None:
        self._queue = queue

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        time.sleep(SEND_SECONDS)
        return self._queue.batch_send_messages(queue, messages)

    @override
    def ping(self) -> list[str]:
        return self._queue.ping()


def dispatch(
    database: Database,
    queue: MessageQueue,
    protocol: DispatchProtocol,
    parallel: int,
    tasks: int,
    *,
    enveloped: bool = False,
) -> None:
    """Dispatches a stage, and sends again what the broker has refused, as the engine does."""
    key = StageKey("1" * 32, 1)
    lease = DispatchLease(database, key, 600)
    assert lease.take()
    limits = limits_of_one_slice(parallel, tasks)
    window = DispatchWindow(database, BatchSender(database, queue), limits, Shutdown(), lease)
    put = window.put_atomic if protocol == DispatchProtocol.ATOMIC else window.put_two_phase
    with window.open():
        for batch in in_envelopes(batches(key.job_id, tasks)) if enveloped else batches(key.job_id, tasks):
            put(batch)
    while window.unsent_batches:
        time.sleep(_REDISPATCH_SECONDS)
        window = DispatchWindow(database, BatchSender(database, queue), limits, Shutdown(), lease)
        with window.open():
            window.resend_pending()


def _waits(protocol: DispatchProtocol, parallel: int, bench: Bench, tasks: int, *, enveloped: bool = False) -> None:
    database, queue = SlowDatabase(bench.database), SlowQueue(bench.queue)
    dispatch(database, queue, protocol, parallel, tasks, enveloped=enveloped)


def _note(bench: Bench, tasks: int) -> None:
    for batch in batches("1" * 32, tasks):
        time.sleep(SEND_SECONDS + 2 * DATABASE_SECONDS)
        design_note.queue_batch(bench.connection, bench.sender, batch)


def _credits(parallel: int, bench: Bench, tasks: int, *, enveloped: bool = False) -> None:
    dispatch(bench.database, bench.queue, DispatchProtocol.TWO_PHASE, parallel, tasks, enveloped=enveloped)


IN_FLIGHT = (1, 4, 10, 16)

LINES: Mapping[str, Callable[[Bench, int], None]] = {
    "note_waits": _note,
    **{f"two_phase_{n}_waits": partial(_waits, DispatchProtocol.TWO_PHASE, n) for n in IN_FLIGHT},
    **{f"atomic_{n}_waits": partial(_waits, DispatchProtocol.ATOMIC, n) for n in IN_FLIGHT},
    **{f"two_phase_{n}_credits": partial(_credits, n) for n in (1, 10)},
    "envelopes_10_waits": partial(_waits, DispatchProtocol.TWO_PHASE, 10, enveloped=True),
    "envelopes_10_credits": partial(_credits, 10, enveloped=True),
}


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs a line once (line, tasks, database_url, service_bus)."""
    with Bench.open(arguments["database_url"], arguments["service_bus"]) as bench:
        create_stage(bench, "1" * 32)
        start = time.perf_counter()
        LINES[arguments["line"]](bench, int(arguments["tasks"]))
        return Measured(seconds=time.perf_counter() - start, peak_rss_mib=None)
