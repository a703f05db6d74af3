"""Runs the handlers of claimed tasks on threads, and keeps their leases meanwhile."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor, Future, wait
from functools import partial

from core.errors import DatabaseUnavailableError
from core.models import ClaimedTask, TaskOutcome
from engine.handlers import HandlerRunner
from engine.limits import Limits
from engine.transactions import transact
from repositories.ports import Database, UnitOfWork

logger = logging.getLogger(__name__)

_RENEWAL_RETRY_SECONDS = 1.0
"""After a renewal that failed: once the database is back, the lease shall be renewed before others may take it over."""


class TaskRunner:
    """Runs claimed tasks; safe to use from several threads.

    Args:
        database: the rows.
        handlers: runs one task.
        executor: the threads that handlers run on.
        limits: the length of a lease.
    """

    def __init__(self, database: Database, handlers: HandlerRunner, executor: Executor, limits: Limits) -> None:
        self._database = database
        self._handlers = handlers
        self._executor = executor
        self._lease_seconds = limits.lease_seconds

    def run(self, claimed: Sequence[ClaimedTask], lease_id: str) -> list[TaskOutcome]:
        """Runs tasks and waits for all of them; their leases are renewed every third of their length.

        Raises:
            LockstepError: a renewal was refused; nothing of this run may be recorded.
        """
        held = {task.task_id for task in claimed}
        wanted = set(held)
        futures: dict[Future[TaskOutcome], str] = {
            self._executor.submit(self._handlers.run, task, partial(_is_cancelled, task.task_id, wanted)): task.task_id
            for task in claimed
        }
        try:
            _, running = wait(futures, timeout=self._lease_seconds / 3)
            while running:
                # Those that have ended as well: their outcomes are not recorded before the last one ends.
                pause_seconds = self._renew(held, wanted, lease_id)
                _, running = wait(running, timeout=pause_seconds)
        except BaseException:
            wanted.clear()  # nothing of this run will be recorded: tell what runs, and start nothing more
            for future in futures:
                future.cancel()
            raise
        return [future.result() for future in futures]

    def _renew(self, held: set[str], wanted: set[str], lease_id: str) -> float:
        """Extends the leases of running tasks; takes out whose lease is lost or whose stage was stopped.

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


def _is_cancelled(task_id: str, wanted: set[str]) -> bool:
    return task_id not in wanted
