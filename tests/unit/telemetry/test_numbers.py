"""The metrics that a collector gets."""

from collections.abc import Mapping
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import JsonValue, TaskContext
from controllers.task_type import TaskType
from core.errors import ContinueLater, DatabaseUnavailableError, PermanentTaskError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.retry import Backoff, TaskPolicy
from core.statuses import BatchStatus
from core.telemetry import telemetry
from repositories.ports.backlog import BacklogRepository
from tests.contract.repositories.building import batch_of, create_batch, start_job, start_stage
from tests.fakes.backlog import FakeBacklogRepository
from tests.support.deliveries import Delivery
from tests.support.drive import stand
from tests.support.sample_jobs import TASK_TYPE, counted, sample_job
from tests.unit.telemetry.conftest import Watch, run_tasks

POLICY = TaskPolicy(max_attempts=2, backoff=Backoff(base_seconds=1, cap_seconds=1))


def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    """Task 0 fails, task 1 is tried again, task 2 goes on later, the others complete."""
    if context.task_index == 0:
        raise PermanentTaskError("it cannot be")
    if context.task_index == 1 and context.attempt == 1:
        raise ValueError("not now")
    if context.task_index == 2 and context.last_checkpoint is None:
        raise ContinueLater(1)
    return None


def test_tasks_are_counted_by_outcome_and_what_takes_time_is_timed(watch: Watch) -> None:
    stages = (StageSpec("only", max_failed_fraction=1),)
    it = watch(sample_job(counted(5), stages=stages, declared=TaskType(TASK_TYPE, handler, POLICY)))
    it.submit()
    it.pump()
    it.stand.clock.advance(5)
    it.pump()
    told = it.told()
    outcomes = {name: told.metric("lockstep.tasks", lockstep__task__outcome=name) for name in _OUTCOMES}
    assert outcomes == {"completed": 4, "failed": 1, "retrying": 1, "continued": 1}
    for name, count in {"completed": 4, "failed": 1, "retrying": 1, "continued": 1}.items():
        attributes = {"lockstep__task__type": TASK_TYPE, "lockstep__task__outcome": name}
        assert told.metric("lockstep.task.duration", **attributes) == count
    invocations = told.metric("messaging.process.duration", **queue(TASKS_QUEUE, "process"))
    assert told.metric("messaging.client.consumed.messages", **queue(TASKS_QUEUE, "process")) == 7
    assert told.metric("messaging.client.sent.messages", **queue(TASKS_QUEUE, "send")) == 7
    assert told.metric("messaging.client.sent.messages", **queue(JOBS_QUEUE, "send")) == 2
    assert told.metric("lockstep.claim.duration") == told.metric("lockstep.record.duration") == invocations


_OUTCOMES = ("completed", "failed", "retrying", "continued")


def queue(name: str, operation: str) -> dict[str, str]:
    return {
        "messaging__system": "servicebus",
        "messaging__destination__name": name,
        "messaging__operation__name": operation,
    }


def test_dead_letters_are_counted_by_queue_and_reason(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    run_tasks([Delivery(b"rubbish", "m1"), Delivery(b"rubbish", "m1"), Delivery(b"rubbish", "m2")])
    attributes = {"messaging__destination__name": TASKS_QUEUE, "lockstep__dead_letter__reason": "unreadable"}
    assert it.told().metric("lockstep.dead_letters", **attributes) == 2


def test_the_sweep_tells_what_waits_and_what_it_has_repaired(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    start_job(it.stand.database)
    start_stage(it.stand.database)
    create_batch(it.stand.database, batch_of(1))
    create_batch(it.stand.database, batch_of(1, 1), BatchStatus.PENDING_QUEUE)
    it.stand.clock.advance(40)  # not long enough for a repair
    it.stand.app.sweeper.sweep()
    told = it.told()
    assert told.metric("lockstep.batches.pending") == told.metric("lockstep.batches.queued") == 1
    assert told.metric("lockstep.outbox.age") == 40
    assert told.metric("lockstep.queue.age", messaging__destination__name=TASKS_QUEUE) == 40
    assert told.metric("lockstep.dead_letters.kept") == 0
    it.stand.clock.advance(40)
    it.stand.app.sweeper.sweep()
    assert it.told().metric("lockstep.repairs", lockstep__repair__kind="batches") == 1


def test_a_value_of_what_waits_is_sent_once(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    it.stand.app.sweeper.sweep()
    assert it.told().metric("lockstep.batches.pending") == 0
    it.collector.metrics.clear()
    assert "lockstep.batches.pending" not in {name for name, _ in it.told().metrics}


def test_what_waits_is_not_read_while_telemetry_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: BacklogRepository) -> None:
        raise AssertionError("it is read")

    monkeypatch.setattr(FakeBacklogRepository, "numbers", fail)
    assert not telemetry().is_on
    with stand(sample_job(counted(1))) as it:
        it.app.sweeper.sweep()


def test_numbers_that_cannot_be_read_do_not_fail_the_sweep(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: BacklogRepository) -> None:
        raise DatabaseUnavailableError("not now")

    monkeypatch.setattr(FakeBacklogRepository, "numbers", fail)
    it = watch(sample_job(counted(1)))
    it.stand.app.sweeper.sweep()
    assert any("telemetry is not told what waits: not now" in line.text for line in it.told().lines)
