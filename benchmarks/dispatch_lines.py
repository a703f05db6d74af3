"""The lines of the dispatch benchmark: the SDK alone, rows alone, the design note's code, and Lockstep."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender
from azure.servicebus.amqp import AmqpAnnotatedMessage
from psycopg2.extensions import connection

from benchmarks import design_note
from benchmarks.measure import Measured
from benchmarks.prepared import in_envelopes
from controllers.base import DispatchProtocol
from core.batching import aligned_batches
from core.definitions import AlignedBatch, TaskDefinition
from core.lanes import BATCHES_QUEUE, TASKS_QUEUE, Lane
from core.models import StageKey
from core.statuses import BatchStatus
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.dispatch_window import DispatchWindow
from repositories import service_bus
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_IN_FLIGHT = (1, 2, 4, 8, 10, 16)
"""The most batches in flight at once; 10 is the default of `DISPATCH_PARALLEL`."""

_SLICE_SECONDS = 3_600.0

_IN_FLIGHT_OF_ENVELOPES = (1, Limits().dispatch_parallel)


@dataclass(frozen=True)
class Bench:
    """The open connections that a line uses; opening them is not measured."""

    database: PostgresDatabase
    queue: service_bus.ServiceBusRepository
    connection: connection
    sender: ServiceBusSender

    @classmethod
    @contextmanager
    def open(cls, database_url: str, connection_string: str) -> Iterator["Bench"]:
        """Opens all connections for the length of a block."""
        with ExitStack() as parts:
            database = parts.enter_context(closing(PostgresDatabase(ConnectionPool(database_url, size=16))))
            queue = service_bus.by_connection_string(connection_string, [TASKS_QUEUE, BATCHES_QUEUE])
            parts.enter_context(closing(queue))
            conn = parts.enter_context(closing(psycopg2.connect(database_url)))
            client = parts.enter_context(ServiceBusClient.from_connection_string(connection_string))
            yield cls(database, queue, conn, client.get_queue_sender(TASKS_QUEUE))


def batches(job_id: str, tasks: int) -> Iterator[AlignedBatch]:
    """The batches that every line dispatches: greeting tasks of hello_world."""
    definitions = (TaskDefinition("hello_world.greet", {"name": "world"}, index) for index in range(tasks))
    return aligned_batches(job_id, 1, definitions, lambda _: Lane.FAST)


def sdk_loop(bench: Bench, job_id: str, tasks: int) -> None:
    """Sends messages only, as the SDK's documentation shows."""
    for batch in batches(job_id, tasks):
        message_batch = bench.sender.create_message_batch()
        for message in batch.messages():
            outgoing = message.outgoing()
            message_batch.add_message(
                ServiceBusMessage(outgoing.body, message_id=outgoing.message_id, content_type="application/json")
            )
        bench.sender.send_messages(message_batch)


def sdk_fastest(bench: Bench, job_id: str, tasks: int) -> None:
    """Sends messages only, through the fastest public API of the SDK."""
    for batch in batches(job_id, tasks):
        message_batch = bench.sender.create_message_batch()
        for message in batch.messages():
            outgoing = message.outgoing()
            properties: Mapping[str, Any] = {
                "message_id": outgoing.message_id,
                "content_type": "application/json",
            }
            message_batch.add_message(AmqpAnnotatedMessage(data_body=[outgoing.body], properties=properties))
        bench.sender.send_messages(message_batch)


def send_loop(bench: Bench, job_id: str, tasks: int) -> None:
    """Sends messages only, one batch after another, as Lockstep does."""
    for batch in batches(job_id, tasks):
        messages = [message.outgoing() for message in batch.messages()]
        assert bench.queue.batch_send_messages(TASKS_QUEUE, messages).success


def insert_loop(bench: Bench, job_id: str, tasks: int) -> None:
    """Inserts rows only, one batch after another, with the statement that Lockstep uses."""
    create_stage(bench, job_id)
    lease = DispatchLease(bench.database, StageKey(job_id, 1), 600)
    assert lease.take()
    for batch in batches(job_id, tasks):
        with bench.database.transaction() as work:
            work.tasks.batch_create_tasks(batch, BatchStatus.QUEUED, lease.lease_id)


def sequential_note(bench: Bench, job_id: str, tasks: int) -> None:
    """Dispatches one batch after another with the design note's code."""
    create_stage(bench, job_id)
    for batch in batches(job_id, tasks):
        design_note.queue_batch(bench.connection, bench.sender, batch)


def limits_of_one_slice(parallel: int, tasks: int) -> Limits:
    """The limits of a dispatch that is one slice, however long it takes, though nothing drains."""
    return Limits(dispatch_parallel=parallel, dispatch_ahead=tasks, dispatch_slice_seconds=_SLICE_SECONDS)


def lockstep(
    protocol: DispatchProtocol, parallel: int, bench: Bench, job_id: str, tasks: int, *, enveloped: bool = False
) -> None:
    """Dispatches as Lockstep does, with `parallel` batches in flight."""
    create_stage(bench, job_id)
    lease = DispatchLease(bench.database, StageKey(job_id, 1), 600)
    assert lease.take()
    limits = limits_of_one_slice(parallel, tasks)
    window = DispatchWindow(bench.database, BatchSender(bench.database, bench.queue), limits, Shutdown(), lease)
    put = window.put_atomic if protocol == DispatchProtocol.ATOMIC else window.put_two_phase
    with window.open():
        for batch in in_envelopes(batches(job_id, tasks)) if enveloped else batches(job_id, tasks):
            put(batch)
    assert window.total_tasks == tasks
    assert window.unsent_batches == 0


def create_stage(bench: Bench, job_id: str) -> None:
    """Writes a job and its first stage, which is to be dispatched."""
    with bench.database.transaction() as work:
        work.jobs.create(job_id, "hello_world", "{}", 1)
        work.stages.create(StageKey(job_id, 1), "greetings", 0.0)


LINES: Mapping[str, Callable[[Bench, str, int], None]] = {
    "sdk_loop": sdk_loop,
    "sdk_fastest": sdk_fastest,
    "send_loop": send_loop,
    "insert_loop": insert_loop,
    "design_note": sequential_note,
    **{f"two_phase_{n}": partial(lockstep, DispatchProtocol.TWO_PHASE, n) for n in _IN_FLIGHT},
    **{f"atomic_{n}": partial(lockstep, DispatchProtocol.ATOMIC, n) for n in _IN_FLIGHT},
    **{
        f"envelopes_{protocol}_{n}": partial(lockstep, protocol, n, enveloped=True)
        for protocol in DispatchProtocol
        for n in _IN_FLIGHT_OF_ENVELOPES
    },
}


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs a line once (line, tasks, database_url, service_bus)."""
    with Bench.open(arguments["database_url"], arguments["service_bus"]) as bench:
        line = LINES[arguments["line"]]
        line(bench, "0" * 32, 100)
        start = time.perf_counter()
        line(bench, "1" * 32, int(arguments["tasks"]))
        return Measured(seconds=time.perf_counter() - start, peak_rss_mib=None)
