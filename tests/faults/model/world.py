"""Two processes on one database and one broker, and everything that can happen to them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from core import ids
from core.error_groups import group_of
from core.errors import LockstepError
from core.job_events import JobEventKind
from core.job_waits import StartConditions
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from core.messages import JobMessage, ReceivedMessage
from core.retry_parts import RetryPart
from core.statuses import TaskStatus
from engine.repair.dead_letters import DeadLetteredMessage
from engine.repair.sweeper import SweepReport
from tests.fakes.clock import FakeClock
from tests.fakes.queue import FakeQueue
from tests.fakes.rows import from_json
from tests.faults.model.audit import AuditedDatabase
from tests.faults.model.broker import DEAD, MAX_DELIVERIES, Broker, Hand
from tests.faults.model.invocation import Fault, Invocation, ProcessDied
from tests.faults.model.jobs import REGISTRIES, Kind, Plan
from tests.faults.model.process import Process

QUEUES = (JOBS_QUEUE, TASKS_QUEUE, BATCHES_QUEUE, URGENT_TASKS_QUEUE, LONG_TASKS_QUEUE)
DEAD_QUEUES = tuple(queue + DEAD for queue in QUEUES)
_MOST_PER_INVOCATION = 100
GIVEN_UP = "MaxDeliveryCountExceeded"
_AN_HOUR = 3_600.0


@dataclass(frozen=True)
class Submitted:
    """A job as it was submitted."""

    job_id: str
    key: str
    kind: Kind
    plan: Plan
    start_in: float | None = None
    after: tuple[str, ...] = ()


@dataclass
class World:
    """The state of a run.

    Attributes:
        tally: counts what happens.
        submitted: the jobs by id.
        accepted: the ids of the jobs that were answered with 202.
        cancelled: the ids of the jobs that a client asked to cancel.
        stopped: the stopped invocations, and the messages that they hold.
    """

    tally: Counter[str]
    clock: FakeClock = field(default_factory=FakeClock)
    submitted: dict[str, Submitted] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    stopped: list[tuple[Invocation, Hand | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tally["runs"] += 1
        self.queue = FakeQueue(self.clock)
        self.broker = Broker(self.queue)
        self.database = AuditedDatabase(self.clock)
        self.audit = self.database.audit
        self.deploy(limited=True)

    def deploy(self, *, limited: bool) -> None:
        """Begins with two processes whose app has task types with limits, or none."""
        self._registry = REGISTRIES[limited]
        self.processes = [self._process(0), self._process(1)]

    # --- calls -------------------------------------------------------------------------------

    def submit(self, process: int, job: Submitted, fault: Fault | None = None) -> None:
        """A client submits a job, for the first time or again."""
        self.submitted[job.job_id] = job
        parameters = job.plan.model_dump(mode="json")

        start_at = None if job.start_in is None else self.clock.now() + timedelta(seconds=job.start_in)
        conditions = StartConditions(start_at, job.after)

        def call(at: Process) -> None:
            at.app.submitter.submit(job.kind.job_type, parameters, job.key, conditions=conditions)
            self.accepted.add(job.job_id)

        self._invoke(process, call, fault)

    def cancel(self, process: int, job_id: str, fault: Fault | None = None) -> None:
        """A client cancels a job."""
        self.cancelled.add(job_id)
        self._invoke(process, lambda at: at.app.canceller.cancel(job_id), fault)

    def retry(
        self, process: int, job_id: str, fault: Fault | None = None, choice: tuple[str, int] | None = None
    ) -> None:
        """A client retries a failed job, or the part of it that a failed task with this number has in common."""
        part = None if choice is None else self._part(job_id, *choice)
        self._invoke(process, lambda at: at.app.reopener.retry(job_id, part), fault)

    def resume(self, process: int, job_id: str, fault: Fault | None = None) -> None:
        """Resume: a client lets a cancelled job run on."""
        self._invoke(process, lambda at: at.app.reopener.resume(job_id), fault)

    def sweep(self, process: int, fault: Fault | None = None) -> SweepReport | None:
        """The timer runs; returns what was repaired, unless the sweep failed or has stopped."""
        reports: list[SweepReport] = []
        self._invoke(process, lambda at: reports.append(at.app.sweeper.sweep()), fault)
        return reports[0] if reports else None

    def deliver(self, process: int, queue: str, most: int, seed: int = 0, fault: Fault | None = None) -> bool:
        """The broker delivers a message, or some of sb-tasks; returns whether there were any."""
        batches = queue == TASKS_QUEUE or queue.endswith(DEAD)
        hand = self.broker.take(queue, min(most, _MOST_PER_INVOCATION) if batches else 1, seed)
        if not hand.copies:
            self.broker.complete(hand)
            return False
        self._invoke(process, partial(_handle, hand), fault, hand)
        return True

    def go_on(self, index: int, fault: Fault | None = None) -> None:
        """A stopped invocation goes on."""
        self.stopped[index][0].go_on(fault)
        self._settle_stopped()

    # --- what happens ------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """The clock of the database and the broker moves on."""
        self.clock.advance(seconds)
        self.broker.expire()

    def kill(self, process: int) -> None:
        """A process dies with its stopped invocations, and another takes its place."""
        self.processes[process].dead = True
        self._bury()

    def end(self) -> None:
        """Ends the threads of stopped invocations."""
        self.tally.update(
            jobs=len(self.audit.tables.jobs.all_keys()),
            tasks=len(self.audit.tables.tasks.all_keys()),
            starts=self.audit.runs,
            waits=sum(event.kind == JobEventKind.WAITING for event in self.audit.tables.job_events.rows()),
        )
        for process in self.processes:
            process.dead = True
        for invocation, _ in self.stopped:
            if not invocation.ended:
                invocation.go_on()

    def _part(self, job_id: str, what: str, number: int) -> RetryPart:
        tasks = [row for row in self.audit.tables.tasks.rows() if row.parent_job_id == job_id]
        failed = [row for row in tasks if row.status == TaskStatus.FAILED] or tasks
        if not failed or what == "unknown":
            return RetryPart(batch_ids=frozenset({ids.batch_id(job_id, 1, number)}))
        self.tally[f"retries of {what}"] += 1
        task = failed[number % len(failed)]
        if what == "tasks":
            return RetryPart(task_ids=frozenset({task.task_id, failed[0].task_id}))
        error = from_json(task.error)
        if what == "errors" and error is not None:
            return RetryPart(error_group=group_of(error["type"], error["message"]).id)
        return RetryPart(batch_ids=frozenset({task.batch_id}))

    # --- inside ------------------------------------------------------------------------------

    def replace(self, number: int) -> None:
        """A fresh process takes the place of one; what has stopped in the old one goes on there."""
        self.processes[number] = self._process(number)

    def _process(self, number: int) -> Process:
        # The clock of the second is an hour ahead, and so fast that leases and slices of time end while it works.
        return Process(self.database, self.queue, self._registry, seconds=number * _AN_HOUR, pace=number * 20.0)

    def _invoke(
        self, process: int, call: Callable[[Process], object], fault: Fault | None, hand: Hand | None = None
    ) -> Invocation:
        at = self.processes[process]
        invocation = Invocation(at, partial(call, at), fault)
        self.tally["invocations"] += 1
        self.tally["faults"] += fault is not None
        invocation.start()
        self.stopped.append((invocation, hand))
        self._settle_stopped()
        self._bury()
        return invocation

    def _settle_stopped(self) -> None:
        """An invocation that returns completes its messages; one that raises or dies makes them available again."""
        for invocation, hand in [each for each in self.stopped if each[0].ended]:
            self.stopped.remove((invocation, hand))
            if not isinstance(invocation.error, LockstepError | ProcessDied | None):
                raise invocation.error
            if hand is not None and invocation.error is None:
                self.broker.complete(hand)
            elif hand is not None:
                self.broker.abandon(hand)

    def _bury(self) -> None:
        for number, process in enumerate(self.processes):
            if process.dead:
                self.processes[number] = self._process(number)
        for invocation, _ in self.stopped:
            if invocation.process.dead:
                invocation.go_on()
        self._settle_stopped()


def job_of(
    number: int, kind: Kind, plan: Plan, start_in: float | None = None, after: tuple[str, ...] = ()
) -> Submitted:
    """The submission with this number."""
    key = f"job {number}"
    return Submitted(ids.job_id_for_key(kind.job_type, key), key, kind, plan, start_in, after)


def _handle(hand: Hand, at: Process) -> None:
    received = [ReceivedMessage(copy.message.body, copy.message.message_id, copy.deliveries) for copy in hand.copies]
    if hand.queue == JOBS_QUEUE:
        at.app.stages.handle(JobMessage.decode(received[0].body))
    elif hand.queue == BATCHES_QUEUE:
        at.app.worker.run_batch(received[0])
    elif not hand.queue.endswith(DEAD):
        at.app.worker.run(hand.queue, received)
    else:
        dead = [DeadLetteredMessage(each, GIVEN_UP, f"delivered {MAX_DELIVERIES} times") for each in received]
        at.app.dead_letter_batches.handle(hand.queue.removesuffix(DEAD), dead)
