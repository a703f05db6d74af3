"""Finds jobs, batches, tasks and stages whose messages were lost by a crash or by the broker, and resends the messages.

Every repair is safe to repeat, and to run on several hosts at once: an additional message does no harm, because the
claim and the compare-and-sets decide whether it has an effect.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from core.errors import LockTimeoutError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, TaskMessage
from core.models import LostTask, StageKey, StageOpening
from core.statuses import JobStatus
from core.telemetry import telemetry
from engine.jobs.end_notices import EndNotices
from engine.jobs.waiting_jobs import Outcome, WaitingJobs
from engine.process.limits import Limits
from engine.process.sending import send
from engine.repair.backlog_watch import tell_backlog
from engine.stages.batch_sender import BatchSender, begin_repair
from engine.stages.dispatch_room import low_mark
from engine.tasks.slots import Slots
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_PAGE = 100
"""Rows per transaction: the messages of one Service Bus batch, or silent batches with up to ten thousand tasks."""

_RUN_SECONDS = 40.0
"""After this time a run begins no more repairs; the next run, a minute later, continues."""


@dataclass(frozen=True)
class SweepReport:
    """How many rows of each kind one run has repaired.

    Attributes:
        jobs: jobs whose first message was lost.
        batches: batches that had rows but no messages.
        retries: retrying tasks whose scheduled message was lost.
        leases: tasks whose worker died, and whose message was not delivered again.
        dispatches: stages whose dispatch was interrupted, or waited for room that it has.
        advances: ended stages whose job had not advanced.
        silent_tasks: waiting tasks of silent stages.
        stopped: stopped stages with tasks that had not ended.
        hooks: jobs that have ended and whose hook is overdue.
        parked: parked tasks that can start.
        waiting: waiting jobs that could start or wait in vain, and keys that jobs which have ended still held.
        notices: ends of jobs that `JOB_EVENTS` had not been told.
    """

    jobs: int = 0
    batches: int = 0
    retries: int = 0
    leases: int = 0
    dispatches: int = 0
    advances: int = 0
    silent_tasks: int = 0
    stopped: int = 0
    hooks: int = 0
    parked: int = 0
    waiting: int = 0
    notices: int = 0


class Sweeper:
    """Sends lost messages again.

    Args:
        database: tells which rows are overdue.
        queue: takes the messages.
        slots: wakes parked tasks.
        limits: how long a row may be overdue.
        waiting: starts waiting jobs.
        notices: sends the notices of ends; None without `JOB_EVENTS`.
        clock: a monotonic clock, in seconds; limits the length of a run.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - bootstrap alone builds one, from its parts
        self,
        database: Database,
        queue: MessageQueue,
        slots: Slots,
        waiting: WaitingJobs,
        limits: Limits,
        notices: EndNotices | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._queue = queue
        self._slots = slots
        self._age = limits.sweep_age_seconds
        self._silence = limits.silence_seconds
        self._low = low_mark(limits.dispatch_ahead)
        self._waiting_jobs = waiting
        self._end_notices = notices
        self._clock = clock
        self._senders = {urgent: BatchSender(database, queue, urgent=urgent) for urgent in (False, True)}

    def sweep(self) -> SweepReport:
        """Runs every repair once, for about 40 s at most. A repair that fails does not stop the others.

        Raises:
            Exception: the first error of a repair; a later sweep finds the rows that were not repaired.
        """
        ends_at = self._clock() + _RUN_SECONDS
        # A message that was certainly not sent is sent soon. An overdue message may wait behind others in a busy queue,
        # so the sweeper waits longer before it takes the message for lost.
        kinds: dict[str, Callable[[], int]] = {
            "jobs": lambda: (
                self._jobs(JobStatus.PENDING_QUEUE, self._age, ends_at)
                + self._jobs(JobStatus.QUEUED, self._silence, ends_at)
            ),
            "batches": lambda: self._batches(ends_at),
            "advances": lambda: self._all(ends_at, self._advances),
            "dispatches": lambda: self._all(ends_at, self._dispatches) + self._all(ends_at, self._with_room),
            "stopped": lambda: self._all(ends_at, self._stopped),
            "leases": lambda: self._lost_tasks(ends_at, _expired_leases(self._silence)),
            "silent_tasks": lambda: self._silent_tasks(ends_at),
            "retries": lambda: self._lost_tasks(ends_at, _overdue_retries(self._silence)),
            "hooks": lambda: self._all(ends_at, self._hooks),
            "parked": lambda: self._slots.sweep(lambda: self._clock() < ends_at),
            "waiting": lambda: self._waiting(ends_at),
        }
        if (notices := self._end_notices) is not None:
            kinds["notices"] = lambda: self._all(ends_at, lambda: notices.sweep(self._age, _PAGE))
        counts: dict[str, int] = {}
        failures: list[Exception] = []
        for name, repair in kinds.items():
            try:
                counts[name] = repair()
            except Exception as exc:  # noqa: BLE001 - a bug in one repair must not stop the others either
                logger.warning("%s could not be repaired: %s", name, exc)
                failures.append(exc)
        telemetry().repaired(counts)
        tell_backlog(self._database)
        report = SweepReport(**counts)
        if report != SweepReport():
            found = ", ".join(f"{name} {count}" for name, count in asdict(report).items() if count)
            logger.warning("lost messages are resent: %s", found)
        if failures:
            raise failures[0]
        return report

    def _all(self, ends_at: float, repair: Callable[[], int]) -> int:
        """Repairs page by page until no row is left or `ends_at`; returns the number of repaired rows."""
        total = 0
        while self._clock() < ends_at:
            repaired = repair()
            total += repaired
            if repaired < _PAGE:
                break
        return total

    def _jobs(self, status: JobStatus, age_seconds: float, ends_at: float) -> int:
        def repair() -> int:
            job_ids = transact(self._database, lambda work: work.sweeps.unstarted_jobs(status, age_seconds, _PAGE))
            messages = [JobMessage(job_id, 1, JobAction.DISPATCH) for job_id in job_ids]
            self._send_job_messages(messages, "was not started")
            transact(self._database, lambda work: _mark_queued(work, job_ids))
            return len(job_ids)

        return self._all(ends_at, repair)

    def _advances(self) -> int:
        stages = transact(self._database, lambda work: work.sweeps.unadvanced_stages(self._silence, _PAGE))
        return self._repeat(JobAction.ADVANCE, stages, "had ended and did not advance")

    def _dispatches(self) -> int:
        stages = transact(self._database, lambda work: work.sweeps.interrupted_dispatches(self._silence, _PAGE))
        return self._repeat(JobAction.DISPATCH, stages, "was not dispatched to the end")

    def _with_room(self) -> int:
        stages = transact(self._database, lambda work: work.sweeps.stages_with_room(self._low, self._age, _PAGE))
        return self._repeat(JobAction.DISPATCH, stages, "has room for more tasks")

    def _stopped(self) -> int:
        stages = transact(self._database, lambda work: work.sweeps.stopped_stages(self._age, _PAGE))
        return self._repeat(JobAction.CANCEL, stages, "was stopped and has tasks left")

    def _hooks(self) -> int:
        stages = transact(self._database, lambda work: work.hooks.overdue(self._age, _PAGE))
        return self._repeat(JobAction.ADVANCE, stages, "is that of a job whose hook is overdue")

    def _waiting(self, ends_at: float) -> int:
        """Releases kept keys, then moves waiting jobs on, in the order of their turns: so a chain ends in one run."""
        total = self._all(ends_at, lambda: transact(self._database, lambda work: work.waits.release_kept_keys(_PAGE)))
        turn, ended = 0, list[str]()
        while self._clock() < ends_at:
            with self._database.transaction() as work:
                found = work.waits.candidates(turn, _PAGE)
            for _, job_id in found:
                if self._clock() < ends_at:
                    outcome, cancelled = self._waiting_jobs.move(job_id)
                    total += outcome in {Outcome.RELEASED, Outcome.CANCELLED}
                    ended += cancelled
            if not found:
                break
            turn, _ = found[-1]
        self._waiting_jobs.tell(ended)
        return total

    def _repeat(self, action: JobAction, stages: Sequence[StageOpening], why: str) -> int:
        """Sends the messages of stages again; returns how many."""
        self._send_job_messages([JobMessage.about(stage, action) for stage in stages], why)
        return len(stages)

    def _lost_tasks(self, ends_at: float, find: Callable[[UnitOfWork], list[LostTask]]) -> int:
        return self._all(ends_at, lambda: self._send_tasks(transact(self._database, find)))

    def _batches(self, ends_at: float) -> int:
        """Sends pending batches, each at most once per run: a refused batch would be found again at once."""
        found = transact(self._database, lambda work: work.sweeps.pending_batches(self._age, _PAGE))
        sent = 0
        refused: set[str] = set()
        for batch in found:
            queue_name = batch.queue
            if queue_name in refused or self._clock() >= ends_at:
                continue
            try:
                taken = self._senders[batch.urgent].resend(batch.batch_id, batch.lane, begin_repair)
            except LockTimeoutError as exc:
                logger.warning("batch %s is locked and is sent by a later run: %s", batch.batch_id, exc)
                continue
            if taken:
                logger.info("batch %s was pending and is sent", batch.batch_id)
                sent += 1
            else:
                refused.add(queue_name)  # the queue takes nothing now: its other batches wait for the next run
        return sent

    def _silent_tasks(self, ends_at: float) -> int:
        keys = transact(self._database, lambda work: work.sweeps.silent_stages(self._silence, _PAGE))
        return sum(self._silent_stage(key, ends_at) for key in keys)

    def _silent_stage(self, key: StageKey, ends_at: float) -> int:
        total = 0
        while self._clock() < ends_at:
            found = transact(self._database, lambda work: work.sweeps.silent_batches(key, self._silence, _PAGE))
            if not found.batches:
                break
            total += self._send_tasks(found.tasks)
        if total:
            logger.warning(
                "stage %d of job %s was silent: the messages of %d tasks are sent again", key.number, key.job_id, total
            )
        return total

    def _send_job_messages(self, messages: Sequence[JobMessage], why: str) -> None:
        for message in messages:
            logger.info("stage %d of job %s %s; its message is sent again", message.stage, message.job_id, why)
        send(self._queue, JOBS_QUEUE, [message.outgoing() for message in messages])

    def _send_tasks(self, tasks: Sequence[LostTask]) -> int:
        by_queue: dict[str, list[LostTask]] = defaultdict(list)
        for task in tasks:
            logger.debug("task %s is resent (send %d)", task.task_id, task.send)
            by_queue[task.queue].append(task)
        for queue_name, lost in by_queue.items():
            send(self._queue, queue_name, [TaskMessage(t.task_id, t.batch_id, t.send).outgoing() for t in lost])
        return len(tasks)


def _mark_queued(work: UnitOfWork, job_ids: Sequence[str]) -> None:
    for job_id in job_ids:
        work.jobs.mark_queued(job_id)


def _expired_leases(age_seconds: float) -> Callable[[UnitOfWork], list[LostTask]]:
    return lambda work: work.sweeps.expired_leases(age_seconds, _PAGE)


def _overdue_retries(age_seconds: float) -> Callable[[UnitOfWork], list[LostTask]]:
    return lambda work: work.sweeps.overdue_retries(age_seconds, _PAGE)
