"""Runs the handlers of claimed tasks on threads, and keeps their leases meanwhile."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field

from core.errors import DatabaseUnavailableError, LockstepError
from core.models import ClaimedTask, TaskOutcome
from core.statuses import TaskStatus
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.process.transactions import transact
from engine.tasks.handler_runner import HandlerRunner
from engine.tasks.releaser import Releaser
from repositories.ports import Database, UnitOfWork

logger = logging.getLogger(__name__)

_Running = dict[Future[TaskOutcome | None], ClaimedTask]

_TICK_SECONDS = 0.5
"""How often a run looks whether the process shall end."""

_RENEWAL_RETRY_SECONDS = 1.0
"""After a renewal that failed: once the database is back, the lease shall be renewed before others may take it over."""


@dataclass(frozen=True)
class Claimed:
    """Tasks that were claimed together.

    Attributes:
        queue_name: where their messages came from.
        lease_id: the lease.
        tasks: one at least.
        start_until: when the run starts nothing more, by `time.monotonic`.
    """

    queue_name: str
    lease_id: str
    tasks: Sequence[ClaimedTask]
    start_until: float


@dataclass
class Ran:
    """What has come of a run; each task ends in one of the three.

    Attributes:
        outcomes: to be recorded.
        handed_back: the tasks that are handed back.
        unfinished: tasks that shall be handed back, and could not be so far.
    """

    outcomes: list[TaskOutcome] = field(default_factory=list)
    handed_back: set[str] = field(default_factory=set)
    unfinished: list[ClaimedTask] = field(default_factory=list)


class TaskRunner:
    """Runs claimed tasks; safe to use from several threads.

    Args:
        database: the rows.
        handlers: runs one task.
        executor: the threads that handlers run on.
        releaser: takes what shall not run here any more.
        limits: the length of a lease.
        shutdown: says when the process ends.
    """

    def __init__(
        self,
        database: Database,
        handlers: HandlerRunner,
        executor: Executor,
        releaser: Releaser,
        limits: Limits,
        shutdown: Shutdown,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._executor = executor
        self._releaser = releaser
        self._lease_seconds = limits.lease_seconds
        self._shutdown = shutdown

    def run(self, claimed: Claimed) -> Ran:
        """Runs tasks to their ends; their leases are renewed every third of their length.

        What has not started when its time is up, or when the process shall end, is handed back at once; what still runs
        when the process has no more time is handed back as well, and its outcome will not count.

        Raises:
            LockstepError: a renewal was refused; nothing of this run may be recorded.
        """
        if self._shutdown.requested:
            return Ran(unfinished=list(claimed.tasks))
        wanted = {task.task_id for task in claimed.tasks}
        futures = {self._executor.submit(self._run_one, claimed, task, wanted): task for task in claimed.tasks}
        try:
            return self._see_to_the_end(claimed, dict(futures), wanted)
        except BaseException:
            wanted.clear()  # nothing of this run will be recorded: tell what runs, and start nothing more
            for future in futures:
                future.cancel()
            raise

    def _run_one(self, claimed: Claimed, task: ClaimedTask, wanted: set[str]) -> TaskOutcome | None:
        """Runs one task; None when it shall be handed back.

        A handler that was told that its process ends may have done half of its work, so what it returns is not its
        outcome. That of one that did not ask is. One that was told that its job was stopped, and raises then, has not
        failed.
        """
        if self._shall_not_start(claimed, task, wanted):
            return None
        told_of_end = told_of_stop = False

        def is_cancelled() -> bool:
            nonlocal told_of_end, told_of_stop
            told_of_end = told_of_end or self._shutdown.requested
            told_of_stop = told_of_stop or task.task_id not in wanted
            return told_of_end or told_of_stop

        outcome = self._handlers.run(task, is_cancelled)
        gave_up = told_of_end or (told_of_stop and outcome.status != TaskStatus.COMPLETED)
        return None if gave_up else outcome

    def _see_to_the_end(self, claimed: Claimed, running: _Running, wanted: set[str]) -> Ran:
        ran = Ran()
        held = set(wanted)
        renew_at = time.monotonic() + self._lease_seconds / 3
        while running:
            wait(running, timeout=max(min(_TICK_SECONDS, renew_at - time.monotonic()), 0))
            self._take_out(claimed, running, wanted, ran)
            held.difference_update(task.task_id for task in ran.unfinished)
            self._hand_back(claimed, ran)
            if running and time.monotonic() >= renew_at:
                # Those that have ended as well: their outcomes are not recorded before the last one ends.
                renew_at = time.monotonic() + self._renew(held, wanted, claimed.lease_id)
        return ran

    def _take_out(self, claimed: Claimed, running: _Running, wanted: set[str], ran: Ran) -> None:
        """Takes out what has ended, and what shall not be waited for any more."""
        for future, task in list(running.items()):
            if future.done():
                outcome = future.result()
            elif self._shutdown.grace_is_over or (self._shall_not_start(claimed, task, wanted) and future.cancel()):
                outcome = None
            else:
                continue
            del running[future]
            if outcome is None:
                ran.unfinished.append(task)
            else:
                ran.outcomes.append(outcome)

    def _shall_not_start(self, claimed: Claimed, task: ClaimedTask, wanted: set[str]) -> bool:
        return self._shutdown.requested or time.monotonic() >= claimed.start_until or task.task_id not in wanted

    def _hand_back(self, claimed: Claimed, ran: Ran) -> None:
        """Tries to; what cannot be handed back now is tried again, in the end by the caller."""
        if not ran.unfinished:
            return
        try:
            self._releaser.hand_back(claimed.queue_name, ran.unfinished, claimed.lease_id)
        except LockstepError as exc:
            logger.warning("%d tasks cannot be handed back yet: %s", len(ran.unfinished), exc)
            return
        ran.handed_back.update(task.task_id for task in ran.unfinished)
        ran.unfinished.clear()

    def _renew(self, held: set[str], wanted: set[str], lease_id: str) -> float:
        """Extends the leases of running tasks; takes out whose lease is lost, or whose stage was stopped.

        A database that is away does not end the run: nobody can take the tasks over meanwhile.

        Returns:
            The seconds to the next renewal.
        """
        task_ids = sorted(held)

        def renew(work: UnitOfWork) -> tuple[set[str], set[str]]:
            return work.tasks.renew_leases(task_ids, lease_id, self._lease_seconds), work.tasks.stopped(task_ids)

        try:
            renewed, stopped = transact(self._database, renew)
        except DatabaseUnavailableError as exc:
            logger.warning("the leases of %d running tasks could not be renewed: %s", len(task_ids), exc)
            return min(_RENEWAL_RETRY_SECONDS, self._lease_seconds / 3)
        for task_id in task_ids:
            if task_id not in renewed:
                logger.warning("the lease of task %s was lost; this run's outcome will not count", task_id)
        held &= renewed
        wanted &= renewed - stopped
        return self._lease_seconds / 3
