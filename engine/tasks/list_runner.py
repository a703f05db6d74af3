"""Runs batch handlers: one call for many tasks, and one outcome for each."""

import logging
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from controllers.context import TaskContext
from controllers.task_items import TaskItem, outcomes_of
from controllers.task_type import TaskType
from core.errors import BatchHandlerError
from core.statuses import TaskStatus
from core.task_runs import ClaimedTask, TaskOutcome
from engine.process.shutdown import Shutdown
from engine.tasks.handler_runner import MAX_INTERRUPTIONS, HandlerRunner

logger = logging.getLogger(__name__)


class ListRunner:
    """Runs the tasks of batch handlers in lists; safe to use from several threads."""

    def __init__(self, handlers: HandlerRunner) -> None:
        self._handlers = handlers

    def takes(self, task: ClaimedTask) -> bool:
        """Whether a batch handler runs this task; a task that was interrupted too often is not run at all."""
        declared = self._handlers.declared(task)
        return declared is not None and declared.batch_handler is not None and task.interruptions <= MAX_INTERRUPTIONS

    def calls(self, tasks: Iterable[ClaimedTask]) -> list[list[ClaimedTask]]:
        """Groups tasks by the calls of handlers that run them.

        Tasks of different jobs are never in one list: what their handler makes of one job must not touch another.
        """
        calls: dict[object, list[ClaimedTask]] = {}
        for task in sorted(tasks, key=lambda each: each.task_id):
            key = (task.job_id, task.stage, task.task_type) if self.takes(task) else task.task_id
            calls.setdefault(key, []).append(task)
        return list(calls.values())

    def run(
        self, tasks: Sequence[ClaimedTask], lease_id: str, wanted: AbstractSet[str], shutdown: Shutdown
    ) -> dict[str, TaskOutcome]:
        """Runs tasks of one stage and one type by one call of their batch handler.

        An outcome that the handler gives after it was told of a shutdown does not count, like the result of any
        handler. The same holds after a read for the handler has given up.

        Args:
            tasks: at least one.
            lease_id: their lease.
            wanted: the ids of the tasks whose stage runs and whose lease is held; it shrinks meanwhile.
            shutdown: tells whether the process shuts down.

        Returns:
            The outcomes by task id; the tasks without one must be released.
        """
        declared = self._handlers.declared(tasks[0])
        assert declared is not None, "calls() has found it"
        return _ListRun(self._handlers, declared, tasks, lease_id, wanted, shutdown).run()


class _ListRun:
    """One call of a batch handler."""

    def __init__(
        self,
        handlers: HandlerRunner,
        declared: TaskType,
        tasks: Sequence[ClaimedTask],
        lease_id: str,
        wanted: AbstractSet[str],
        shutdown: Shutdown,
    ) -> None:
        self._handlers = handlers
        self._declared = declared
        self._tasks = tasks
        self._wanted = wanted
        self._shutdown = shutdown
        self._reads = handlers.reads(tasks[0])
        self._given_up = self._reads.given_up
        self._states = {task.task_id: handlers.state(task, lease_id, self._given_up) for task in tasks}
        self._told_of_shutdown = self._told_of_stop = False

    def run(self) -> dict[str, TaskOutcome]:
        given: list[TaskOutcome | BaseException] = []
        failure = self._call(given)
        may_end_early = self._told_of_stop or self._counts_no_more
        if self._given_up:
            count = len(self._tasks) - len(given)
            logger.warning(
                "%d tasks of a list are released, because PostgreSQL is unavailable: %s", count, self._given_up[0]
            )
        if isinstance(failure, BatchHandlerError) and not may_end_early:
            given = []  # nobody can tell which outcome belongs to which task
        outcomes = [self._outcome(task, each) for task, each in zip(self._tasks, given, strict=False)]
        if failure is not None and not may_end_early:
            outcomes += self._without_outcome(self._tasks[len(given) :], failure)
        kept = [each for each in outcomes if each.status == TaskStatus.COMPLETED or not self._told_of_stop]
        return {each.task_id: each for each in kept}

    @property
    def _counts_no_more(self) -> bool:
        return self._told_of_shutdown or bool(self._given_up)

    def _call(self, given: list[TaskOutcome | BaseException]) -> BaseException | None:
        """Calls the handler, and collects the outcomes that count; returns what it raised."""
        assert self._declared.batch_handler is not None, "calls() has found it"
        items = [TaskItem(self._context(task), task.parameters) for task in self._tasks]
        try:
            for outcome in outcomes_of(self._declared.batch_handler, items):
                if not self._counts_no_more:
                    given.append(self._encoded(self._tasks[len(given)], outcome))
        # Even SystemExit: see HandlerRunner.
        except BaseException as exc:  # noqa: BLE001 - see above
            return exc
        return None

    def _encoded(self, task: ClaimedTask, outcome: object) -> TaskOutcome | BaseException:
        """Encodes a result at once: the handler may change it after it has given it."""
        if isinstance(outcome, BaseException):
            return outcome
        return self._handlers.completed(task, self._declared.policy, outcome)

    def _outcome(self, task: ClaimedTask, given: TaskOutcome | BaseException) -> TaskOutcome:
        return given if isinstance(given, TaskOutcome) else self._raised(task, given)

    def _raised(self, task: ClaimedTask, exc: BaseException, trace: str | None = None) -> TaskOutcome:
        return self._handlers.raised(task, self._declared.policy, exc, self._states[task.task_id], trace)

    def _without_outcome(self, tasks: Sequence[ClaimedTask], failure: BaseException) -> list[TaskOutcome]:
        """Makes outcomes of what the handler raised; the log has the traceback once."""
        if not tasks:
            name = self._declared.name
            logger.error("the batch handler of %s raised %s after its last outcome", name, type(failure).__name__)
        trace = None
        outcomes = []
        for task in tasks:
            outcomes.append(self._raised(task, failure, trace))
            trace = f"{type(failure).__name__}, as task {tasks[0].task_id}"
        return outcomes

    def _context(self, task: ClaimedTask) -> TaskContext:
        state = self._states[task.task_id]
        return self._handlers.context(task, partial(self._is_cancelled, task.task_id), self._reads, state)

    def _is_cancelled(self, task_id: str) -> bool:
        stopped = task_id not in self._wanted
        self._told_of_stop = self._told_of_stop or stopped
        self._told_of_shutdown = self._told_of_shutdown or self._shutdown.requested
        return stopped or self._told_of_shutdown
