"""Faults stop and time goes on: every job ends, and then nothing is left to do."""

from core.statuses import BATCH_ENDS, JOB_ENDS
from engine.repair.sweeper import SweepReport
from tests.faults.model.outcomes import check_job, check_letters
from tests.faults.model.world import DEAD_QUEUES, QUEUES, World

_MANY_ROUNDS = 300
_MANY_DELIVERIES = 5_000
"""Every dead letter of a task whose stage has ended repeats the stage's message: that is hundreds of them."""

_MINUTE = 60.0
_LONGER_THAN_ANY_WAIT = 1_000 * _MINUTE
_STEP = 20.0
"""Retries that are due within so many seconds are delivered together, which is a matter of speed alone."""


def bring_to_rest(world: World) -> None:
    """Brings every job to its end while stopped invocations stay stopped; then lets these go on, too late.

    Raises:
        AssertionError: something is wrong in the end.
    """
    world.queue.failures.clear()
    world.replace(0)  # one that has stopped while it ran a suspect lets no other suspect have its turn
    _settle(world)
    while world.stopped:
        world.go_on(0)
        _settle(world)
    world.pass_time(_LONGER_THAN_ANY_WAIT)
    assert world.sweep(0) == SweepReport(), "something is left to be repaired"
    _check(world)


def _settle(world: World) -> None:
    """Delivers everything, and sweeps as time goes on, until every job has ended and the queues are empty."""
    for _ in range(_MANY_ROUNDS):
        deliver_everything(world)
        due = [message.enqueue_at for name in QUEUES for message in world.queue.scheduled(name)[:1]]
        due.append(world.broker.next_expiry())
        waits = [(at - world.clock.now()).total_seconds() for at in due if at is not None]
        if not waits and _all_ended(world):
            return
        world.pass_time(max(_STEP, min([*waits, 5 * _MINUTE])))
        world.sweep(0)
    raise AssertionError(f"no rest: {world.audit.tables.jobs.rows()} {world.audit.tables.stages.rows()}")


def _all_ended(world: World) -> bool:
    jobs, batches = world.audit.tables.jobs.rows(), world.audit.tables.batches.rows()
    return all(job.status in JOB_ENDS for job in jobs) and all(batch.status in BATCH_ENDS for batch in batches)


def deliver_everything(world: World) -> None:
    """Delivers the messages that can be delivered now, and those that are sent meanwhile."""
    for _ in range(_MANY_DELIVERIES):
        delivered = [world.deliver(0, name, 100) for name in (*QUEUES, *DEAD_QUEUES)]
        if not any(delivered):
            return
    raise AssertionError("the queues do not come to rest")


def _check(world: World) -> None:
    jobs = world.audit.tables.jobs.rows()
    assert not world.audit.violations
    assert world.accepted <= {job.job_id for job in jobs}, "a job that was accepted is gone"
    assert all(world.queue.size(name) + len(world.broker.ready(name)) == 0 for name in (*QUEUES, *DEAD_QUEUES))
    assert not world.audit.tables.limit_waits.rows(), "tasks are still parked"
    assert not world.audit.tables.task_starts.rows(), "starts are still kept"
    for job in jobs:
        check_job(world, job)
    check_letters(world)
