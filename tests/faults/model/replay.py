"""Replays runs of the models on a database: runs each step's transaction and compares rows and findings of sweeps."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from controllers.registry import Registry
from core.errors import DispatchLeaseLostError, JobStateError, StageFailedError
from core.ids import batch_id, task_id
from core.messages import JobAction
from core.models import StageKey, StageOpening
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import TaskOutcome
from engine.jobs.canceller import Canceller
from engine.jobs.end_hooks import EndHooks
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.job_secrets import JobSecrets
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.job_endings import JobEndings
from engine.stages.stage_canceller import _cancel_some
from engine.tasks.recorder import _write
from repositories.ports import UnitOfWork
from tests.contract.repositories.building import JOB, batch_of, completed, failed, retrying, start_job, write_batch
from tests.fakes.queue import FakeQueue
from tests.faults.model.bench import Bench
from tests.faults.model.checker import Action
from tests.faults.model.dispatch_room import has_room
from tests.faults.model.dispatch_rows import DispatchTransactions
from tests.faults.model.rows import FIRST, NOBODY, Rows

_LEASE_SECONDS = 1e6
"""Leases end when the model says so."""

_KEY = StageKey(JOB, 1)
_MANY = 100
_NO_HOOKS = EndHooks(FakeQueue(), Registry([]))
_OUTCOMES: dict[str, Callable[[str], TaskOutcome]] = {
    "completed": completed,
    "failed": failed,
    "retrying": lambda each: retrying(each, _LEASE_SECONDS),
}


class RolledBackError(Exception):
    """Ends a transaction that only reads."""


class Replay:
    """One run.

    Args:
        bench: the database.
        rows: where the run begins; its batches, if there are any yet, are queued.
        max_failed_fraction: what the stage tolerates.
        low: with so few tasks out, a dispatch that waits for room goes on.
    """

    def __init__(self, bench: Bench, rows: Rows, max_failed_fraction: float = 0.0, low: int = 0) -> None:
        self._bench = bench
        self._low = low
        self._database = bench.database
        self._transactions = DispatchTransactions(max_failed_fraction)
        self._leases: dict[int, str] = {}
        self._dispatch_leases: dict[int, str] = {}
        self._waiting = WaitingJobs(self._database, FakeQueue(), _NO_HOOKS)
        self._send_attempts = {FIRST: 1}
        bench.clear()
        start_job(self._database)
        with self._database.transaction() as work:
            work.stages.create(_KEY, "first", max_failed_fraction)
            for number, batch in enumerate(rows.batches):
                if batch.status == "queued":
                    write_batch(work, batch_of(len(batch.tasks), number), BatchStatus.QUEUED)
            if rows.stage.status == "running":
                work.stages.acquire_dispatch_lease(_KEY, "first", _LEASE_SECONDS)
                work.stages.finish_dispatch(_KEY, "first", len(rows.tasks), len(rows.batches))

    def step(self, action: Action, before: Rows, after: Rows) -> None:
        """Runs a step of the model on the database and compares the outcomes.

        Raises:
            AssertionError: the model and the database disagree.
        """
        self._bench.tick()
        do = getattr(self, f"_do_{action.name}", None)
        if do is not None:
            do(action, before, after)
        assert self._rows() == _visible(after), action
        with suppress(RolledBackError), self._database.transaction() as work:
            self._compare_findings(work, after)
            raise RolledBackError

    def _do_claim(self, action: Action, before: Rows, after: Rows) -> None:
        number, wanted = action.who
        lease_id = self._leases[number] = uuid.uuid4().hex
        with self._database.transaction() as work:
            claimed = work.tasks.claim(_ids(wanted), lease_id, _LEASE_SECONDS)
        _, expected = self._transactions.claim(before, _indexes(wanted), number)
        assert sorted(task.task_id for task in claimed) == _ids(expected), action

    def _do_claim_batch(self, action: Action, before: Rows, after: Rows) -> None:
        number, batch = action.who
        lease_id = self._leases[number] = uuid.uuid4().hex
        with self._database.transaction() as work:
            claimed = work.tasks.claim_batch(batch_id(JOB, 1, batch), lease_id, _LEASE_SECONDS, "a host")
        _, expected = self._transactions.claim(before, before.batches[batch].tasks, number)
        assert sorted(task.task_id for task in claimed) == _ids(expected), action

    def _do_renew(self, action: Action, before: Rows, after: Rows) -> None:
        if len(action.who) == 1:
            self._renew_dispatch(*action.who, expected=True)
            return
        number, held = action.who
        with self._database.transaction() as work:
            work.tasks.renew_leases(_ids(held), self._leases[number], _LEASE_SECONDS)

    def _do_release(self, action: Action, before: Rows, after: Rows) -> None:
        number, held = action.who
        with self._database.transaction() as work:
            work.tasks.release(_ids(held), self._leases[number])

    def _do_record(self, action: Action, before: Rows, after: Rows) -> None:
        number, written = action.who
        if isinstance(written, int):  # of the other model
            written = ((written, after.tasks[written].status),) if before.tasks != after.tasks else ()
        outcomes = [_OUTCOMES[outcome](_id(index)) for index, outcome in written]
        with self._database.transaction() as work:
            recorded, messages = _write(work, self._leases[number], outcomes)
        expected = self._transactions.record(before, written, number)
        assert sorted(task.task_id for task in recorded) == _ids(expected.tasks), action
        actions = {message.action for message in messages}
        assert (JobAction.ADVANCE in actions) == expected.has_ended_stage, action
        assert (JobAction.DISPATCH in actions) == expected.has_room, action

    def _do_advance(self, action: Action, before: Rows, after: Rows) -> None:
        with self._database.transaction() as work:
            if work.jobs.advance(_KEY):
                work.stages.create(StageKey(JOB, 2), "second", 0.0)

    def _do_fail_job(self, action: Action, before: Rows, after: Rows) -> None:
        secrets = JobSecrets(self._database, Registry([]))
        JobEndings(self._database, FakeQueue(), secrets, _NO_HOOKS, self._waiting).fail(
            StageOpening(_KEY, 0), StageFailedError("as the model wants it")
        )

    def _do_cancel_job(self, action: Action, before: Rows, after: Rows) -> None:
        with suppress(JobStateError):
            Canceller(self._database, FakeQueue(), _NO_HOOKS, self._waiting).cancel(JOB)

    def _do_cancel_some(self, action: Action, before: Rows, after: Rows) -> None:
        with self._database.transaction() as work:
            assert (_cancel_some(work, _KEY) > 0) == (before != after)

    def _do_expire(self, action: Action, before: Rows, after: Rows) -> None:
        (index,) = action.who
        self._bench.end_wait(_id(index), hours=1)

    _do_come_due = _do_expire

    def _do_sweep_lease(self, action: Action, before: Rows, after: Rows) -> None:
        _, index = action.who
        self._bench.end_wait(_id(index), hours=2)  # the oldest is found first
        with self._database.transaction() as work:
            assert [lost.task_id for lost in work.sweeps.expired_leases(0, 1)] == [_id(index)]

    def _do_sweep_retry(self, action: Action, before: Rows, after: Rows) -> None:
        _, index = action.who
        self._bench.end_wait(_id(index), hours=2)
        with self._database.transaction() as work:
            assert [lost.task_id for lost in work.sweeps.overdue_retries(0, 1)] == [_id(index)]

    def _do_begin_dispatch(self, action: Action, before: Rows, after: Rows) -> None:
        (number,) = action.who
        self._dispatch_leases[number] = uuid.uuid4().hex
        is_asked = before.stage.status == "dispatching" and before.job.status == "processing"
        if is_asked and not self._transactions.is_waiting(before):
            with self._database.transaction() as work:
                lease_id = self._dispatch_leases[number]
                taken = work.stages.acquire_dispatch_lease(_KEY, lease_id, _LEASE_SECONDS)
            assert taken == (before != after)

    def _renew_dispatch(self, number: int, *, expected: bool) -> None:
        with self._database.transaction() as work:
            lease_id = self._dispatch_leases[number]
            assert work.stages.renew_dispatch_lease(_KEY, lease_id, _LEASE_SECONDS) == expected

    def _do_stop(self, action: Action, before: Rows, after: Rows) -> None:
        self._renew_dispatch(*action.who, expected=False)

    def _do_create(self, action: Action, before: Rows, after: Rows) -> None:
        dispatcher, number = action.who
        modelled = before.batches[number]
        batch = replace(batch_of(len(modelled.tasks), number), enveloped=modelled.enveloped)
        with suppress(DispatchLeaseLostError), self._database.transaction() as work:
            work.tasks.batch_create_tasks(batch, BatchStatus.PENDING_QUEUE, self._dispatch_leases[dispatcher])

    def _do_begin_resend(self, action: Action, before: Rows, after: Rows) -> None:
        sender, number = action.who
        with self._database.transaction() as work:
            resend = work.batches.begin_resend(batch_id(JOB, 1, number))
        expected = self._transactions.begin_resend(before, number, sender)
        assert (resend is None) == (expected is None)
        if resend is not None and expected is not None:
            assert sorted(resend.sends) == _ids(expected[1])
            self._send_attempts[sender] = resend.send_attempt

    def _do_mark_queued(self, action: Action, before: Rows, after: Rows) -> None:
        _, number, send = action.who
        with self._database.transaction() as work:
            work.batches.mark_queued(
                batch_id(JOB, 1, number), self._send_attempts[send], enveloped=before.batches[number].enveloped
            )

    def _do_resume_later(self, action: Action, before: Rows, after: Rows) -> None:
        (number,) = action.who
        with self._database.transaction() as work:
            work.stages.release_dispatch_lease(_KEY, self._dispatch_leases[number])

    def _do_wait_for_room(self, action: Action, before: Rows, after: Rows) -> None:
        number, low = action.who
        lease = DispatchLease(self._database, _KEY, _LEASE_SECONDS)
        lease.lease_id = self._dispatch_leases[number]
        if not lease.wait_for_room(0, low):
            lease.release()

    def _do_sweep_room(self, action: Action, before: Rows, after: Rows) -> None:
        (low,) = action.who
        with self._database.transaction() as work:
            assert work.sweeps.stages_with_room(low, 0, _MANY) == [StageOpening(_KEY, 0)]

    def _do_finish_dispatch(self, action: Action, before: Rows, after: Rows) -> None:
        (number,) = action.who
        totals = len(before.tasks), len(before.batches)
        with self._database.transaction() as work:
            if work.stages.finish_dispatch(_KEY, self._dispatch_leases[number], *totals):
                work.stages.finish_if_complete(_KEY)

    def _do_expire_dispatch(self, action: Action, before: Rows, after: Rows) -> None:
        self._bench.end_dispatch_lease()

    def _rows(self) -> tuple[Any, ...]:
        """The rows, as the model has them; only its holder's actions show whose a lease is."""
        with self._database.transaction() as work:
            tasks = work.tasks.page(JOB, None, "", _MANY)
            batches = work.batches.page(_KEY, -1, _MANY)
            stage, job = work.stages.get(_KEY), work.jobs.get(JOB)
            expires_at = work.stages.dispatch_lease_expires_at(_KEY)
            now = work.now()
        assert stage is not None
        assert job is not None
        waits = [task.lease_expires_at or task.not_before for task in tasks]
        counts = (stage.finished_batches, stage.completed_tasks, stage.failed_tasks, stage.cancelled_tasks)
        total_batches = -1 if stage.total_batches is None else stage.total_batches
        return (
            [(t.status, w is not None and w <= now, t.failures) for t, w in zip(tasks, waits, strict=True)],
            [(batch.status, batch.open_tasks, batch.failed_tasks, batch.cancelled_tasks) for batch in batches],
            (stage.status, total_batches, counts, expires_at is not None, expires_at is not None and expires_at <= now),
            -1 if stage.room_after is None else stage.room_after,
            (job.status, job.stage),
        )

    def _compare_findings(self, work: UnitOfWork, rows: Rows) -> None:
        """Compares what the sweeper finds when its waiting times are 0."""
        indexes = range(len(rows.tasks))
        transactions, sweeps = self._transactions, work.sweeps
        pending = [batch_id(JOB, 1, number) for number in transactions.pending_batches(rows)]
        assert sorted(found.batch_id for found in sweeps.pending_batches(0, _MANY)) == pending
        assert bool(sweeps.unadvanced_stages(0, _MANY)) == transactions.is_unadvanced(rows)
        assert bool(sweeps.stopped_stages(0, _MANY)) == transactions.is_stopped_with_tasks_left(rows)
        if rows.job.stage == 1:  # the model has no row of the next stage
            assert bool(sweeps.interrupted_dispatches(0, _MANY)) == transactions.is_interrupted(rows)
            assert bool(sweeps.stages_with_room(self._low, 0, _MANY)) == has_room(rows, self._low)
        silent = [task for key in sweeps.silent_stages(0, _MANY) for task in sweeps.silent_batches(key, 0, _MANY).tasks]
        assert sorted(task.task_id for task in silent) == _ids(transactions.silent_tasks(rows))
        overdue = [index for index in indexes if transactions.sweep_retry(rows, index)]
        assert sorted(task.task_id for task in sweeps.overdue_retries(0, _MANY)) == _ids(overdue)
        expired = [index for index in indexes if transactions.sweep_lease(rows, index)]
        assert sorted(task.task_id for task in sweeps.expired_leases(0, _MANY)) == _ids(expired)


def _visible(rows: Rows) -> tuple[Any, ...]:
    stage = rows.stage
    counts = (stage.finished_batches, stage.completed_tasks, stage.failed_tasks, stage.cancelled_tasks)
    sent = {index for b in rows.batches if b.enveloped and b.status != "pending_queue" for index in b.tasks}
    tasks = [
        task._replace(status="queued") if index in sent and task.status == "pending_queue" else task
        for index, task in enumerate(rows.tasks)
    ]
    return (
        [(TaskStatus(t.status), t.is_over, t.failures) for t in tasks if t.status != "absent"],
        [(b.status, b.open_tasks, b.failed_tasks, b.cancelled_tasks) for b in rows.batches if b.status != "absent"],
        (stage.status, stage.total_batches, counts, stage.dispatcher != NOBODY, stage.is_lease_over),
        stage.room_after,
        (rows.job.status, rows.job.stage),
    )


def _id(index: int) -> str:
    return task_id(JOB, 1, index)


def _indexes(wanted: int | Sequence[int]) -> Sequence[int]:
    return (wanted,) if isinstance(wanted, int) else wanted


def _ids(wanted: int | Sequence[int]) -> list[str]:
    return sorted(_id(index) for index in _indexes(wanted))
