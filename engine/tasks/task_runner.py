import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import DatabaseError, LockstepError
from core.statuses import TaskStatus
from core.task_runs import ClaimedTask, TaskOutcome
from core.telemetry import telemetry
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.tasks.calls import Calls, Outcomes
from engine.tasks.cancellation import Cancellation
from engine.tasks.handler_runner import HandlerRunner
from engine.tasks.handler_threads import HandlerThreads
from engine.tasks.list_runner import ListRunner
from engine.tasks.releaser import Releaser
from repositories.ports import Database, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
"""How often a run checks whether the process shuts down."""

_RENEWAL_RETRY_SECONDS = 1.0
"""The pause after a failed renewal: short, to renew the lease after an outage before another worker takes it over."""


@dataclass(frozen=True)
class Claimed:
    """Tasks that were claimed together.

    Attributes:
        queue_name: the queue of their messages.
        lease_id: the lease.
        tasks: at least one.
        start_until: the time, by `time.monotonic`, after which no task starts.
        deadlines: when the timeouts of started tasks are over, by task id and `time.monotonic`.
    """

    queue_name: str
    lease_id: str
    tasks: Sequence[ClaimedTask]
    start_until: float
    deadlines: dict[str, float] = field(default_factory=dict)


@dataclass
class Ran:
    """The result of a run; each of its tasks is in exactly one of the three fields.

    Attributes:
        outcomes: the outcomes of the tasks that ended.
        released: the ids of the tasks that were released.
        unfinished: the tasks that must still be released.
    """

    outcomes: list[TaskOutcome] = field(default_factory=list)
    released: set[str] = field(default_factory=set)
    unfinished: list[ClaimedTask] = field(default_factory=list)


class TaskRunner:
    """Runs claimed tasks on threads, and renews their leases meanwhile; safe to use from several threads.

    Args:
        database: holds the leases.
        handlers: runs tasks, one in a call or many.
        threads: the threads that handlers run on.
        releaser: releases the tasks that will not run here.
        limits: gives the length of a lease.
        shutdown: tells whether the process shuts down.
    """

    def __init__(
        self,
        database: Database,
        handlers: HandlerRunner,
        threads: HandlerThreads,
        releaser: Releaser,
        limits: Limits,
        shutdown: Shutdown,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._lists = ListRunner(handlers)
        self._threads = threads
        self._releaser = releaser
        self._lease_seconds = limits.lease_seconds
        self._shutdown = shutdown

    def run(self, claimed: Claimed) -> Ran:
        """Runs tasks to their ends; renews their leases every third of a lease.

        A task that has not started at `start_until`, or when the process shuts down, is released at once. A task that
        still runs when the grace time is over is released as well, and its outcome does not count.

        Raises:
            LockstepError: a renewal was refused; no outcome of this run may be recorded.
        """
        if self._shutdown.requested:
            return Ran(unfinished=list(claimed.tasks))
        wanted = {task.task_id for task in claimed.tasks}
        run_call = telemetry().calls(lambda tasks: self._run_call(claimed, tasks, wanted))
        calls = Calls(self._threads, run_call, self._lists.calls(claimed.tasks))
        try:
            return self._follow(claimed, calls, wanted)
        except BaseException:
            wanted.clear()  # no outcome of this run is recorded: tell running handlers, and start no more
            calls.stop()
            raise

    def _run_call(self, claimed: Claimed, tasks: Sequence[ClaimedTask], wanted: set[str]) -> Outcomes:
        """Runs the tasks of one call of a handler."""
        if self._must_not_start(claimed, tasks, wanted):
            return [None] * len(tasks)
        if not self._lists.takes(tasks[0]):
            return [self._run_one(claimed, task, wanted) for task in tasks]
        starting = [task for task in tasks if task.task_id in wanted]
        outcomes = self._lists.run(starting, claimed.lease_id, wanted, self._shutdown) if starting else {}
        return [outcomes.get(task.task_id) for task in tasks]

    def _run_one(self, claimed: Claimed, task: ClaimedTask, wanted: set[str]) -> TaskOutcome | None:
        """Runs one task; returns None when the task must be released.

        If `is_cancelled` told the handler of the shutdown, the handler may have stopped half-way, so its result does
        not count. The result of a handler that did not ask counts. If `is_cancelled` told the handler that its job is
        cancelled, and the handler raises, the task has not failed. If it told the handler of its timeout, the task has
        failed, whatever the handler returns. A state to go on from counts in any other case.
        """
        timeout = self._handlers.timeout_seconds(task)
        deadline = time.monotonic() + timeout if timeout else None
        if deadline:
            claimed.deadlines[task.task_id] = deadline
        cancellation = Cancellation(self._shutdown, lambda: task.task_id in wanted, deadline)
        outcome = self._handlers.run(task, claimed.lease_id, cancellation)
        if outcome is None:
            return None
        if cancellation.told_of_timeout:
            return self._handlers.timed_out(task)
        if outcome.continuation is not None and not outcome.continuation.idle:
            return outcome
        if cancellation.told_of_shutdown or (cancellation.told_of_stop and outcome.status != TaskStatus.COMPLETED):
            return None
        return outcome

    def _follow(self, claimed: Claimed, calls: Calls, wanted: set[str]) -> Ran:
        """Waits for running tasks, collects their outcomes, and renews their leases."""
        ran = Ran()
        held = set(wanted)
        renew_at = time.monotonic() + self._lease_seconds / 3
        while calls.open:
            calls.wait(max(min(_TICK_SECONDS, renew_at - time.monotonic()), 0))
            self._collect(claimed, calls, wanted, ran)
            held.difference_update(task.task_id for task in ran.unfinished)
            self._release(claimed, ran)
            if calls.open and time.monotonic() >= renew_at:
                # Ended tasks too: all outcomes are recorded together, when the last task has ended.
                renew_at = time.monotonic() + self._renew(held, wanted, claimed.lease_id)
        return ran

    def _collect(self, claimed: Claimed, calls: Calls, wanted: set[str], ran: Ran) -> None:
        """Moves ended tasks, and tasks for which the run no longer waits, from `calls` to `ran`."""
        running = []
        for call in calls.open:
            tasks = call.tasks
            if call.ended:
                outcomes = call.outcomes()
            elif (self._must_not_start(claimed, tasks, wanted) and calls.withdraw(call)) or (
                self._shutdown.grace_is_over and calls.give_up(call)
            ):
                outcomes = [None] * len(tasks)
            elif self._is_over(claimed, tasks[0]) and calls.give_up(call):
                outcomes = [self._handlers.timed_out(tasks[0])]
            else:
                running.append(call)
                continue
            for task, outcome in zip(tasks, outcomes, strict=True):
                if outcome is None:
                    ran.unfinished.append(task)
                else:
                    ran.outcomes.append(outcome)
        calls.open = running

    @staticmethod
    def _is_over(claimed: Claimed, task: ClaimedTask) -> bool:
        """Whether a task's timeout is over; tasks of lists have none."""
        return time.monotonic() >= claimed.deadlines.get(task.task_id, math.inf)

    def _must_not_start(self, claimed: Claimed, tasks: Sequence[ClaimedTask], wanted: set[str]) -> bool:
        if self._shutdown.requested or time.monotonic() >= claimed.start_until:
            return True
        return tasks[0].task_id not in wanted and wanted.isdisjoint([task.task_id for task in tasks])

    def _release(self, claimed: Claimed, ran: Ran) -> None:
        """Releases unfinished tasks. If that fails, the run tries again later, and the caller after the run."""
        if not ran.unfinished:
            return
        try:
            self._releaser.release(claimed.queue_name, ran.unfinished, claimed.lease_id)
        except LockstepError as exc:
            logger.warning("%d tasks cannot be released yet: %s", len(ran.unfinished), exc)
            return
        ran.released.update(task.task_id for task in ran.unfinished)
        ran.unfinished.clear()

    def _renew(self, held: set[str], wanted: set[str], lease_id: str) -> float:
        """Renews leases. Removes tasks with lost leases from `held`; from `wanted`, also tasks of stopped stages.

        A PostgreSQL that is unavailable or refuses the statement does not end the run: no other worker can claim the
        tasks meanwhile. Nor does a lock that is held for long, such as that of a migration.

        Returns:
            The seconds until the next renewal.
        """
        task_ids = sorted(held)

        def renew(work: UnitOfWork) -> tuple[set[str], set[str]]:
            return work.tasks.renew_leases(task_ids, lease_id, self._lease_seconds), work.tasks.stopped(task_ids)

        try:
            renewed, stopped = transact(self._database, renew)
        except DatabaseError as exc:
            if not exc.waited_out:
                raise
            logger.warning("the leases of %d running tasks could not be renewed: %s", len(task_ids), exc)
            return min(_RENEWAL_RETRY_SECONDS, self._lease_seconds / 3)
        for task_id in task_ids:
            if task_id not in renewed:
                logger.warning("the lease of task %s was lost; the outcome of this run does not count", task_id)
        held &= renewed
        wanted &= renewed - stopped
        return self._lease_seconds / 3
