"""The whole application over the fakes, with a pump in place of the triggers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import wiring
from controllers.base import JobController
from controllers.registry import Registry
from controllers.schedule import Schedule
from controllers.storage.blob_accounts import BlobAccounts
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from core.messages import JobMessage, OutgoingMessage, ReceivedMessage, TaskMessage
from core.models import Batch, Job, Stage, StageKey, Task
from core.pages import TaskPayload
from engine.process.outage_waiter import OutageWaiter
from engine.process.shutdown import Shutdown
from repositories.ports import DeadLetter
from settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase, Fakes
from tests.fakes.queue import FakeQueue
from wiring import App

_MOST_PER_INVOCATION = 100
_MANY_ROUNDS = 1_000
_ALL = 1_000_000

SETTINGS = Settings.from_environment(
    {
        "DATABASE_URL": "postgresql://nowhere",
        "ServiceBusConnection": "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any",
        "WORKER_THREADS": "2",
    }
)


@dataclass(frozen=True)
class Stand:
    """One application with its fakes."""

    app: App
    database: FakeDatabase
    queue: FakeQueue
    clock: FakeClock
    outages: OutageWaiter
    shutdown: Shutdown

    def submit(self, job_type: str, **parameters: Any) -> str:
        """Submits a job; returns its id."""
        return self.app.submitter.submit(job_type, parameters).job_id

    def pump(self) -> None:
        """Delivers visible messages until there are none; scheduled messages stay."""
        for _ in range(_MANY_ROUNDS):
            if not self.deliver_job_messages() + self.deliver_task_messages():
                return
        raise AssertionError("the queues do not come to rest")

    def pump_through_time(self) -> None:
        """Delivers until the queues are empty, moving the clock on to the next scheduled message."""
        for _ in range(_MANY_ROUNDS):
            self.pump()
            due = [self.queue.scheduled(name)[0].enqueue_at for name in _QUEUES if self.queue.scheduled(name)]
            if not due:
                return
            earliest = min(when for when in due if when is not None)
            self.clock.advance((earliest - self.clock.now()).total_seconds())
        raise AssertionError("the queues do not come to rest")

    def deliver_job_messages(self) -> int:
        """Delivers the visible messages of sb-jobs; returns how many."""
        messages = self.queue.receive(JOBS_QUEUE)
        for message in messages:
            self.app.stages.handle(JobMessage.decode(message.body))
        return len(messages)

    def deliver_task_messages(self) -> int:
        """Delivers the visible messages of the task queues, up to 100 an invocation; returns how many."""
        fast = {name: self.queue.receive(name) for name in (URGENT_TASKS_QUEUE, TASKS_QUEUE)}
        long = self.queue.receive(LONG_TASKS_QUEUE)
        envelopes = self.queue.receive(BATCHES_QUEUE)
        for envelope in received(envelopes):
            self.app.worker.run_batch(envelope)
        for name, messages in fast.items():
            for start in range(0, len(messages), _MOST_PER_INVOCATION):
                self.app.worker.run(name, received(messages[start : start + _MOST_PER_INVOCATION]))
        for message in long:
            self.app.worker.run(LONG_TASKS_QUEUE, received([message]))
        return sum(map(len, fast.values())) + len(long) + len(envelopes)

    def job(self, job_id: str) -> Job:
        with self.database.transaction() as work:
            job = work.jobs.get(job_id)
        assert job is not None
        return job

    def stage_or_none(self, job_id: str, stage: int = 1) -> Stage | None:
        with self.database.transaction() as work:
            return work.stages.get(StageKey(job_id, stage))

    def stage(self, job_id: str, stage: int = 1) -> Stage:
        row = self.stage_or_none(job_id, stage)
        assert row is not None
        return row

    def batches(self, job_id: str) -> list[Batch]:
        with self.database.transaction() as work:
            return work.batches.page_of_job(job_id, (0, 0), _ALL)

    def tasks(self, job_id: str) -> list[Task]:
        with self.database.transaction() as work:
            return work.tasks.page(job_id, None, "", _ALL, TaskPayload)

    def dead_letters(self) -> list[DeadLetter]:
        with self.database.transaction() as work:
            return [kept.letter for kept in work.dead_letters.newest(1_000)]


_QUEUES = (JOBS_QUEUE, TASKS_QUEUE, BATCHES_QUEUE, URGENT_TASKS_QUEUE, LONG_TASKS_QUEUE)


def waiter_by(clock: FakeClock) -> OutageWaiter:
    """An outage waiter that moves the clock instead of waiting."""

    def wait(seconds: float) -> bool:
        clock.advance(seconds)
        return False

    return OutageWaiter(wait, lambda: clock.now().timestamp())


def received(messages: list[OutgoingMessage]) -> list[ReceivedMessage]:
    """Messages as the broker delivers them for the first time."""
    return [ReceivedMessage(message.body, message.message_id, 1) for message in messages]


def job_messages(messages: list[OutgoingMessage]) -> list[JobMessage]:
    return [JobMessage.decode(message.body) for message in messages]


def task_messages(messages: list[OutgoingMessage]) -> list[TaskMessage]:
    return [TaskMessage.decode(message.body) for message in messages]


@contextmanager
def stand(
    *controllers: type[JobController[Any]],
    fakes: Fakes | None = None,
    schedules: Iterable[Schedule] = (),
    blobs: BlobAccounts | None = None,
    **changes: Any,
) -> Iterator[Stand]:
    """An application with these job types.

    Args:
        controllers: the job types.
        fakes: what stands in for their own repositories.
        schedules: when their jobs are submitted.
        blobs: the storage accounts of the app.
        changes: fields of `Settings`.
    """
    clock = FakeClock()
    database = FakeDatabase(clock, fakes=fakes)
    settings = SETTINGS.model_copy(update=changes)
    with _stand(database, FakeQueue(clock), Registry(controllers, schedules), settings, blobs=blobs) as it:
        yield it


@contextmanager
def second_process(
    first: Stand,
    *controllers: type[JobController[Any]],
    outages: OutageWaiter | None = None,
    schedules: Iterable[Schedule] = (),
) -> Iterator[Stand]:
    """Another application on the same rows and queues, with its own version of the job types."""
    registry = Registry(controllers, schedules)
    with _stand(first.database, first.queue, registry, first.app.settings, outages) as it:
        yield it


@contextmanager
def _stand(
    database: FakeDatabase,
    queue: FakeQueue,
    registry: Registry,
    settings: Settings,
    outages: OutageWaiter | None = None,
    blobs: BlobAccounts | None = None,
) -> Iterator[Stand]:
    outages = outages or waiter_by(database.clock)
    shutdown = Shutdown(refuse_after_seconds=0)
    backends = wiring.Backends(
        database,
        queue,
        pending_migrations=list,
        close=lambda: None,
        outages=outages,
        shutdown=shutdown,
        blobs=blobs or BlobAccounts(),
    )
    app = wiring.wire(settings, registry, backends)
    try:
        yield Stand(app, database, queue, database.clock, outages, shutdown)
    finally:
        app.close()
