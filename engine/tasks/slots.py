"""Claims tasks of types with limits: as many as slots are free. The others are parked, and woken when a slot is free.

A slot is held by the live lease of a task: nothing must be written to free it, and it is free when its worker has died.
A parked task has no message. Its row in `limit_waits` is found by the next claim of its type, by the worker that frees
a slot, or by the sweeper.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from controllers.registry import Registry
from core.errors import LockstepError
from core.ids import parse_task_id
from core.job_events import Repair
from core.messages import TaskMessage
from core.models import StageKey
from core.task_limits import (
    MOST_WOKEN,
    NO_LIMIT,
    SlotUse,
    TaskLimit,
    WokenTask,
    admitted,
    blocking,
    due_times,
    first_expiring,
    to_wake,
)
from core.task_runs import ClaimedTask
from engine.process.limits import Limits
from engine.process.sending import send
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

ClaimTasks = Callable[[UnitOfWork, Sequence[str]], list[ClaimedTask]]


@dataclass(frozen=True)
class Claim:
    """What a claim has done.

    Attributes:
        tasks: the claimed tasks.
        parked: the ids of the tasks that were parked: their messages are no longer needed.
        woken: the parked tasks whose messages must be sent.
    """

    tasks: list[ClaimedTask]
    parked: set[str] = field(default_factory=set)
    woken: list[WokenTask] = field(default_factory=list)


class Slots:
    """The slots of the task types with limits.

    Args:
        database: holds the slots.
        queue: takes the messages of tasks that are woken.
        registry: knows the task types and their limits.
        limits: how long the message of a woken task may be under way.
    """

    def __init__(self, database: Database, queue: MessageQueue, registry: Registry, limits: Limits) -> None:
        self._database = database
        self._queue = queue
        self._registry = registry
        self._limits = registry.task_limits
        self._age = limits.sweep_age_seconds

    @property
    def have_limits(self) -> bool:
        """Whether any task type has limits."""
        return bool(self._limits)

    def claim(self, work: UnitOfWork, task_ids: Sequence[str], lease_id: str, claim: ClaimTasks) -> Claim:
        """Claims tasks: those of types with limits as far as slots are free, and all the others.

        Without types that have limits, it only claims.
        """
        if not self._limits:
            return Claim(claim(work, task_ids))
        by_type: dict[str, list[str]] = defaultdict(list)
        for task_id, task_type in work.slots.types_of(task_ids, sorted(self._limits)).items():
            by_type[task_type].append(task_id)
        claims = [self._claim_of_type(work, each, by_type[each], lease_id, claim) for each in sorted(by_type)]
        limited = {task_id for of_type in by_type.values() for task_id in of_type}
        others = [task_id for task_id in task_ids if task_id not in limited]
        return Claim(
            [task for each in claims for task in each.tasks] + (claim(work, others) if others else []),
            {task_id for each in claims for task_id in each.parked},
            [task for each in claims for task in each.woken],
        )

    def claim_others(self, work: UnitOfWork, task_ids: Sequence[str], claim: ClaimTasks) -> Claim:
        """Claims the tasks of types without limits, and leaves the others as they are."""
        types = work.slots.types_of(task_ids, sorted(self._limits)) if self._limits else {}
        others = [task_id for task_id in task_ids if task_id not in types]
        return Claim(claim(work, others) if others else [])

    def forget(self, work: UnitOfWork, task_ids: Sequence[str], lease_id: str) -> None:
        """Deletes the starts of tasks that were claimed with the lease, and released before they ran."""
        if self._limits:
            work.slots.forget_starts(sorted(self._limits), task_ids, lease_id)

    def freed(self, tasks: Iterable[ClaimedTask]) -> None:
        """Wakes parked tasks for the slots of tasks that have ended or were released.

        If that fails, the next claim of the type or the sweeper wakes them.
        """
        for task_type in sorted({task.task_type for task in tasks} & self._limits.keys()):
            try:
                self.send(transact(self._database, partial(self._wake_of_type, task_type=task_type)))
            except LockstepError as exc:
                logger.warning("parked tasks of type %s are not woken yet: %s", task_type, exc)

    def send(self, woken: Sequence[WokenTask]) -> None:
        """Sends the messages of woken tasks. If that fails, the sweeper wakes them again."""
        try:
            self._send(woken)
        except LockstepError as exc:
            logger.warning("the messages of %d woken tasks are not sent: %s", len(woken), exc)

    def sweep(self, go_on: Callable[[], bool]) -> int:
        """Wakes the parked tasks of all types that can start; all tasks of a type that has no limits any more.

        Of a type that this version of the app does not know, it wakes a few: another version may limit it.

        Args:
            go_on: whether there is time for another transaction.

        Returns:
            How many were woken.

        Raises:
            LockstepError: infrastructure failed.
        """
        with self._database.transaction() as work:
            task_types = work.slots.limited_types()
        total = 0
        for task_type in task_types:
            while go_on():
                woken = transact(self._database, partial(self._repair, task_type=task_type))
                self._send(woken)
                total += len(woken)
                if len(woken) < MOST_WOKEN or self._registry.task_type(task_type) is None:
                    break
        return total

    def _claim_of_type(
        self, work: UnitOfWork, task_type: str, task_ids: Sequence[str], lease_id: str, claim: ClaimTasks
    ) -> Claim:
        limit = self._limits[task_type]
        work.slots.lock(task_type)
        use = work.slots.use(task_type, limit, self._age)
        candidates = work.slots.candidates(task_ids, self._age)
        starting = admitted(limit, use, candidates)
        tasks = claim(work, starting) if starting else []
        if tasks:
            work.slots.start(task_type, [task.task_id for task in tasks], lease_id)
        gone = sorted(set(task_ids) - {each.task_id for each in candidates})
        if use.parked and gone:
            work.slots.unpark(gone)
        over = [each.task_id for each in candidates if each.task_id not in set(starting)]
        if over:
            work.slots.park(task_type, over, blocking(limit, use, len(starting)))
            logger.info("%d tasks of type %s are parked: %d run already", len(over), task_type, use.running)
        woken = self._wake(work, task_type, limit) if over or use.parked else []
        return Claim(tasks, set(over), woken)

    def _wake_of_type(self, work: UnitOfWork, task_type: str) -> list[WokenTask]:
        work.slots.lock(task_type)
        return self._wake(work, task_type, self._limits.get(task_type, NO_LIMIT))

    def _repair(self, work: UnitOfWork, task_type: str) -> list[WokenTask]:
        woken = self._wake_of_type(work, task_type)
        addresses = (parse_task_id(task.task_id) for task in woken)
        counts = Counter(StageKey(address.job_id, address.stage) for address in addresses)
        work.events.repaired(Repair.PARKED_TASKS, counts)
        return woken

    def _wake(self, work: UnitOfWork, task_type: str, limit: TaskLimit) -> list[WokenTask]:
        use = work.slots.use(task_type, limit, self._age)
        most = min(to_wake(limit, use), MOST_WOKEN)
        if not most or not use.parked:
            return []
        found = work.slots.next_parked(task_type, self._age, most)
        return work.slots.wake(dict(zip(found, self._due_times(work, task_type, limit, use, len(found)), strict=False)))

    @staticmethod
    def _due_times(
        work: UnitOfWork, task_type: str, limit: TaskLimit, use: SlotUse, count: int
    ) -> list[datetime | None]:
        expiring = work.slots.expiring(task_type, limit, first_expiring(limit, use), count) if limit.rate else []
        return due_times(limit, use, count, expiring)

    def _send(self, woken: Sequence[WokenTask]) -> None:
        by_queue: dict[str, list[WokenTask]] = defaultdict(list)
        for task in woken:
            by_queue[task.queue].append(task)
        for queue_name, tasks in by_queue.items():
            messages = [TaskMessage(task.task_id, task.batch_id, task.send).outgoing(task.due_at) for task in tasks]
            send(self._queue, queue_name, messages)
