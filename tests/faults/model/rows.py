"""The rows of one stage and the transactions that change them, as values and functions of values.

Time is reduced to what the queries ask of it: whether a moment on a row has passed. Ids are indexes. Every method of
`Transactions` names the queries that it models; `tests/faults/test_model_replay.py` holds them together.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

TaskStatus = Literal["absent", "pending_queue", "queued", "processing", "retrying", "completed", "failed", "cancelled"]
BatchStatus = Literal["absent", "pending_queue", "queued", "finished", "cancelled"]
StageStatus = Literal["dispatching", "running", "finished", "failed", "cancelled"]
Outcome = Literal["completed", "failed", "retrying"]

WAITING = ("pending_queue", "queued")
ENDED = ("completed", "failed", "cancelled")
BATCH_ENDED = ("finished", "cancelled")
STAGE_LIVE = ("dispatching", "running")
STAGE_STOPPED = ("failed", "cancelled")

NOBODY = -1
FIRST = -3
"""The send of whoever wrote the batch."""

STRANGER = -2
"""Holds a lease that no live worker knows: the one that took it has died or has finished its invocation."""


class Task(NamedTuple):
    """A row of `tasks`; `is_over` says whether lease_expires_at or not_before, whichever it has, has passed."""

    status: TaskStatus
    holder: int = NOBODY
    is_over: bool = False
    failures: int = 0


class Batch(NamedTuple):
    """A row of `batches`, with the indexes of its tasks; `last_send`, for send_attempts, says whose send it was."""

    tasks: tuple[int, ...]
    status: BatchStatus
    open_tasks: int
    failed_tasks: int = 0
    cancelled_tasks: int = 0
    last_send: int = FIRST
    enveloped: bool = False


class Stage(NamedTuple):
    """A row of `stages`; `total_batches` and `room_after` are -1 where the row has null."""

    status: StageStatus
    total_batches: int = -1
    finished_batches: int = 0
    completed_tasks: int = 0
    failed_tasks: int = 0
    cancelled_tasks: int = 0
    dispatcher: int = NOBODY
    is_lease_over: bool = False
    room_after: int = -1


class Job(NamedTuple):
    """A row of `jobs`."""

    status: Literal["processing", "failed", "cancelled"] = "processing"
    stage: int = 1


class Rows(NamedTuple):
    """The rows of a job that is at its first stage or, once that has ended, at the second."""

    tasks: tuple[Task, ...]
    batches: tuple[Batch, ...]
    stage: Stage
    job: Job = Job()

    def with_tasks(self, changes: dict[int, Task]) -> "Rows":
        """These rows with some tasks replaced."""
        if not changes:
            return self
        return self._replace(tasks=tuple(changes.get(index, task) for index, task in enumerate(self.tasks)))

    def with_batch(self, index: int, batch: Batch) -> "Rows":
        """These rows with one batch replaced."""
        return self._replace(batches=(*self.batches[:index], batch, *self.batches[index + 1 :]))


class Recorded(NamedTuple):
    """The effect of a record: the tasks that it wrote, and whether it ended the stage, or its wait for room."""

    rows: Rows
    tasks: tuple[int, ...]
    has_ended_stage: bool
    has_room: bool = False


class Transactions:
    """The transactions of one stage.

    Args:
        max_failed_fraction: what the stage tolerates.
        without: the guards to leave out, by name; the check must then find a violation.
    """

    def __init__(self, max_failed_fraction: float = 0.0, without: Collection[str] = ()) -> None:
        self._max_failed_fraction = max_failed_fraction
        self._without = frozenset(without)

    def holds(self, guard: str, *, condition: bool) -> bool:
        """Whether a guard lets a row pass: its condition is met, or the guard is left out."""
        return condition or guard in self._without

    def claim(self, rows: Rows, wanted: Iterable[int], holder: int) -> tuple[Rows, tuple[int, ...]]:
        """tasks.sql `claim`; also returns the tasks that were claimed."""
        is_live = self.holds("stage of a claim", condition=rows.stage.status in STAGE_LIVE)
        claimed = tuple(index for index in wanted if is_live and self._may_claim(rows.tasks[index]))
        taken = {
            index: rows.tasks[index]._replace(status="processing", holder=holder, is_over=False) for index in claimed
        }
        return rows.with_tasks(taken), claimed

    def _may_claim(self, task: Task) -> bool:
        match task.status:
            case "absent":
                return False
            case "pending_queue" | "queued":
                return True
            case "retrying":
                return self.holds("retry is due", condition=task.is_over)
            case "processing":
                return self.holds("lease has expired", condition=task.is_over)
            case _:
                return self.holds("status of a claim", condition=False)

    def renew(self, rows: Rows, held: Iterable[int], holder: int) -> Rows:
        """tasks.sql `renew_leases`."""
        mine = [index for index in held if self._is_held(rows.tasks[index], holder, "lease of a renewal")]
        return rows.with_tasks({index: rows.tasks[index]._replace(is_over=False) for index in mine})

    def release(self, rows: Rows, held: Iterable[int], holder: int) -> Rows:
        """tasks.sql `release`."""
        mine = [index for index in held if self._is_held(rows.tasks[index], holder, "lease of a release")]
        return rows.with_tasks({index: _waiting_for_retry(rows.tasks[index]) for index in mine})

    def record(self, rows: Rows, outcomes: Sequence[tuple[int, Outcome]], holder: int) -> Recorded:
        """One transaction of many queries: tasks.sql `record`; batches.sql `apply_outcomes`;
        stages.sql `add_finished_batches`, `finish_if_complete`.
        """
        written = [each for each in outcomes if self._is_held(rows.tasks[each[0]], holder, "lease of a record")]
        rows = rows.with_tasks({index: _recorded(rows.tasks[index], outcome) for index, outcome in written})
        after = self._add_ended(rows, {index for index, outcome in written if outcome != "retrying"})
        if after.stage != rows.stage:
            after = self.finish_if_complete(after)
        has_ended = after.stage.status != rows.stage.status
        has_room = not has_ended and self.is_waiting(rows) and not self.is_waiting(after)
        return Recorded(after, tuple(index for index, _ in written), has_ended, has_room)

    def is_waiting(self, rows: Rows) -> bool:
        """Whether the dispatch waits for room."""
        return rows.stage.status == "dispatching" and rows.stage.finished_batches < rows.stage.room_after

    def _add_ended(self, rows: Rows, ended: set[int]) -> Rows:
        """batches.sql `apply_outcomes`, stages.sql `add_finished_batches`."""
        finished: list[Batch] = []
        for number, batch in enumerate(rows.batches):
            if ended.isdisjoint(batch.tasks):
                continue
            after = self._apply_outcomes(rows, batch, ended)
            rows = rows.with_batch(number, after)
            if after.status in BATCH_ENDED and batch.status not in BATCH_ENDED:
                finished.append(after)
        return rows._replace(stage=_with_finished_batches(rows.stage, finished)) if finished else rows

    def _is_held(self, task: Task, holder: int, guard: str) -> bool:
        return task.status == "processing" and self.holds(guard, condition=task.holder == holder)

    def _apply_outcomes(self, rows: Rows, batch: Batch, ended: set[int]) -> Batch:
        outcomes = [rows.tasks[index].status for index in batch.tasks if index in ended]
        open_tasks = batch.open_tasks - len(outcomes)
        status: BatchStatus = batch.status
        cancelled = batch.cancelled_tasks + outcomes.count("cancelled")
        has_run = len(outcomes) > outcomes.count("cancelled")
        if status == "pending_queue" and has_run:
            status = "queued"
        if status in ("pending_queue", "queued") and open_tasks == 0:
            status = "cancelled" if cancelled == len(batch.tasks) else "finished"
        failed = batch.failed_tasks + outcomes.count("failed")
        return Batch(batch.tasks, status, open_tasks, failed, cancelled, batch.last_send)

    def finish_if_complete(self, rows: Rows) -> Rows:
        """stages.sql `finish_if_complete`."""
        stage = rows.stage
        if stage.status == "dispatching":
            is_complete, too_many = False, stage.failed_tasks > 0 and self._max_failed_fraction == 0
        elif self.holds("status of a stage that finishes", condition=stage.status == "running"):
            is_complete = stage.finished_batches == stage.total_batches
            too_many = stage.failed_tasks / len(rows.tasks) > self._max_failed_fraction
        else:
            return rows
        return self.stop(rows, "failed" if too_many else "finished") if is_complete or too_many else rows

    def stop(self, rows: Rows, status: StageStatus) -> Rows:
        """stages.sql `stop`, and what `finish_if_complete` writes."""
        return rows._replace(stage=rows.stage._replace(status=status, dispatcher=NOBODY, is_lease_over=False))

    def advance(self, rows: Rows) -> Rows:
        """jobs.sql `advance` from stage 1, with stages.sql `create` for the next."""
        job = rows.job
        if job.status != "processing" or not self.holds("stage of an advance", condition=job.stage == 1):
            return rows
        return rows._replace(job=job._replace(stage=job.stage + 1))

    def fail_job(self, rows: Rows) -> Rows:
        """`JobEndings.fail` for stage 1: jobs.sql `finish`, stages.sql `stop`."""
        if not self.holds("stage of a failure", condition=rows.job.stage == 1):
            return rows
        if rows.job.status == "processing":
            rows = rows._replace(job=rows.job._replace(status="failed"))
        return self.stop(rows, "failed") if rows.stage.status in STAGE_LIVE else rows

    def cancel_job(self, rows: Rows) -> Rows:
        """`Canceller.cancel`: jobs.sql `finish`, stages.sql `stop`."""
        if rows.job.status != "processing":
            return rows
        cancelled = rows._replace(job=rows.job._replace(status="cancelled"))
        return self.stop(cancelled, "cancelled") if rows.stage.status in STAGE_LIVE else cancelled

    def cancel_some(self, rows: Rows) -> Rows | None:
        """`StageCanceller.cancel_waiting`, one transaction with one batch: stops.sql `waiting_batches`, `cancel_tasks`,
        `lock_stage`; None when no task waits or the stage is not stopped.
        """
        if rows.stage.status not in STAGE_STOPPED:
            return None
        for batch in rows.batches:
            waiting = {index for index in batch.tasks if self._may_cancel(rows.tasks[index])}
            if batch.status in ("pending_queue", "queued") and waiting:
                cancelled = {index: Task("cancelled", failures=rows.tasks[index].failures) for index in waiting}
                return self._add_ended(rows.with_tasks(cancelled), waiting)
        return None

    def _may_cancel(self, task: Task) -> bool:
        if task.status == "processing":
            return self.holds("lease of a cancelled task", condition=task.is_over)
        return task.status in (*WAITING, "retrying")

    def sweep_lease(self, rows: Rows, index: int) -> Rows | None:
        """sweeps.sql `expired_leases`, `touch_tasks` for one task; None when it is not found."""
        task = rows.tasks[index]
        if task.status != "processing" or not task.is_over:
            return None
        return rows.with_tasks({index: _waiting_for_retry(task)})

    def sweep_retry(self, rows: Rows, index: int) -> Rows | None:
        """sweeps.sql `overdue_retries`, `touch_tasks` for one task; None when it is not found."""
        task = rows.tasks[index]
        return rows if task.status == "retrying" and task.is_over else None

    def silent_tasks(self, rows: Rows) -> tuple[int, ...]:
        """sweeps.sql `silent_stages`, `silent_batches`, `waiting_tasks`: the tasks to send again."""
        is_active = any(task.status in ("processing", "retrying") for task in rows.tasks)
        waits_for_room = rows.stage.status == "dispatching" and rows.stage.room_after >= 0
        if rows.job != Job() or not (rows.stage.status == "running" or waits_for_room) or is_active:
            return ()
        queued = [index for batch in rows.batches if batch.status == "queued" for index in batch.tasks]
        return tuple(index for index in queued if rows.tasks[index].status in WAITING)

    def is_unadvanced(self, rows: Rows) -> bool:
        """sweeps.sql `unadvanced_stages` and stages.sql `ended_but_not_advanced`."""
        return rows.job == Job() and rows.stage.status in ("finished", "failed")

    def is_stopped_with_tasks_left(self, rows: Rows) -> bool:
        """sweeps.sql `stopped_stages`."""
        is_live = any(batch.status in ("pending_queue", "queued") for batch in rows.batches)
        return rows.stage.status in STAGE_STOPPED and is_live


def _waiting_for_retry(task: Task) -> Task:
    return task._replace(status="retrying", holder=NOBODY, is_over=True)


def _recorded(task: Task, outcome: Outcome) -> Task:
    return Task(outcome, failures=task.failures + (outcome != "completed"))


def _with_finished_batches(stage: Stage, finished: Sequence[Batch]) -> Stage:
    """stages.sql `add_finished_batches`."""
    failed = sum(batch.failed_tasks for batch in finished)
    cancelled = sum(batch.cancelled_tasks for batch in finished)
    return stage._replace(
        finished_batches=stage.finished_batches + len(finished),
        completed_tasks=stage.completed_tasks + sum(len(batch.tasks) for batch in finished) - failed - cancelled,
        failed_tasks=stage.failed_tasks + failed,
        cancelled_tasks=stage.cancelled_tasks + cancelled,
    )
