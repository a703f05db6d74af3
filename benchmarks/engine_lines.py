"""The lines of the engine benchmark: bare SQL, the engine's own statements, and the worker."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

from benchmarks import noop
from benchmarks.bare_sql import BareSql
from benchmarks.measure import Measured
from benchmarks.no_broker import NO_BROKER, NoQueue
from benchmarks.noop import Noop
from benchmarks.prepared import KEY, opened, outgoing, queued_tasks
from benchmarks.second_stage import first_stage, second_stage
from controllers.registry import Registry
from core.definitions import AlignedBatch
from core.lanes import TASKS_QUEUE
from core.messages import ReceivedMessage, TaskMessage
from core.statuses import StageStatus, TaskStatus
from core.task_runs import TaskOutcome
from repositories.ports import Database, UnitOfWork
from repositories.transactions import transact
from settings import Settings
from wiring import Backends, wire

Invocation = Sequence[TaskMessage]
"""The messages that one call of the worker gets."""

_SIZES = (1, 10, 100)
_LEASE_SECONDS = 50.0


def bare_sql(connections: int, size: int, arguments: Mapping[str, str]) -> float:
    """Claims and records by bare SQL; returns the seconds."""
    with opened(arguments["database_url"]) as database:
        invocations = invocations_of(queued_tasks(database, int(arguments["tasks"])), size)
    with closing(BareSql(arguments["database_url"], connections)) as sql:
        task_ids = [[message.task_id for message in each] for each in invocations]
        start = time.perf_counter()
        sql.run(task_ids)
        return time.perf_counter() - start


def statements(size: int, arguments: Mapping[str, str]) -> float:
    """Runs the transactions of the worker, one after the other, without the worker; returns the seconds."""
    with opened(arguments["database_url"]) as database:
        invocations = invocations_of(queued_tasks(database, int(arguments["tasks"])), size)
        start = time.perf_counter()
        for number, invocation in enumerate(invocations):
            claim_and_record(database, f"lease{number:027}", invocation)
        return time.perf_counter() - start


def claim_and_record(database: Database, lease_id: str, invocation: Invocation) -> None:
    """Claims and records the tasks of an invocation, in the transactions of the worker."""
    task_ids = [message.task_id for message in invocation]

    def record(work: UnitOfWork) -> None:
        for stage in work.outcomes.record(lease_id, outcomes).stages:
            if stage.may_end:
                work.stages.finish_if_complete(stage.opening.key)

    claimed = transact(database, lambda work: work.tasks.claim(task_ids, lease_id, _LEASE_SECONDS, "benchmark"))
    outcomes = [TaskOutcome(task.task_id, TaskStatus.COMPLETED, "null") for task in claimed]
    transact(database, record)


def worker(at_once: int, size: int, arguments: Mapping[str, str], *, lists: bool = False) -> float:
    """Hands messages to the worker of the app, in invocations of a size; returns the seconds."""
    url = arguments["database_url"]
    settings = Settings.from_environment({"DATABASE_URL": url, "ServiceBusConnection": NO_BROKER})
    with opened(url) as database:
        app = wire(settings, Registry([Noop]), Backends(database, NoQueue(), list, lambda: None))
        written = queued_tasks(database, int(arguments["tasks"]), noop.run_list if lists else noop.run)
        delivered = [received(each) for each in invocations_of(written, size)]
        with closing(app), ThreadPoolExecutor(at_once) as threads:
            start = time.perf_counter()
            list(threads.map(partial(app.worker.run, TASKS_QUEUE), delivered))
            seconds = time.perf_counter() - start
        _assert_finished(database)
        return seconds


def envelopes(at_once: int, arguments: Mapping[str, str]) -> float:
    """Hands envelopes to the worker of the app, each with a batch of 100; returns the seconds."""
    url = arguments["database_url"]
    settings = Settings.from_environment({"DATABASE_URL": url, "ServiceBusConnection": NO_BROKER})
    with opened(url) as database:
        app = wire(settings, Registry([Noop]), Backends(database, NoQueue(), list, lambda: None))
        written = queued_tasks(database, int(arguments["tasks"]), enveloped=True)
        delivered = [ReceivedMessage(each.body, each.message_id, 1) for batch in written for each in outgoing(batch)]
        with closing(app), ThreadPoolExecutor(at_once) as threads:
            start = time.perf_counter()
            list(threads.map(app.worker.run_batch, delivered))
            seconds = time.perf_counter() - start
        _assert_finished(database)
        return seconds


def _assert_finished(database: Database) -> None:
    with database.transaction() as work:
        stage = work.stages.get(KEY)
    assert stage is not None
    assert stage.status == StageStatus.FINISHED, stage


def invocations_of(written: Sequence[AlignedBatch], size: int) -> list[Invocation]:
    """Cuts the messages of all batches into invocations of one size; none spans two batches."""
    return [
        messages[start : start + size]
        for messages in (batch.messages() for batch in written)
        for start in range(0, len(messages), size)
    ]


def received(invocation: Invocation) -> list[ReceivedMessage]:
    """The messages as the broker delivers them."""
    sent = [message.outgoing() for message in invocation]
    return [ReceivedMessage(each.body, each.message_id, 1) for each in sent]


LINES: Mapping[str, Callable[[Mapping[str, str]], float]] = {
    **{f"sql_{size}": partial(bare_sql, 1, size) for size in _SIZES},
    "sql_100_x2": partial(bare_sql, 2, 100),
    "statements_100": partial(statements, 100),
    **{f"worker_{size}": partial(worker, 1, size) for size in _SIZES},
    "worker_100_x4": partial(worker, 4, 100),
    "list_100": partial(worker, 1, 100, lists=True),
    "list_100_x4": partial(worker, 4, 100, lists=True),
    "envelope_100": partial(envelopes, 1),
    "envelope_100_x4": partial(envelopes, 4),
    "first_stage": first_stage,
    "second_stage": second_stage,
}
"""The number is the size of an invocation; `x` says how many run at once, one if it is missing."""


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs a line once (line, tasks, database_url); invocations of one task run a tenth of the tasks."""
    tasks = int(arguments["tasks"])
    if arguments["line"].endswith("_1"):
        tasks = max(tasks // 10, 1)
    seconds = LINES[arguments["line"]]({**arguments, "tasks": str(tasks)})
    return Measured(seconds=seconds, peak_rss_mib=None, tasks=tasks)
