"""Rows for tests to start from, made only through the ports."""

from core.definitions import AlignedBatch, TaskDefinition
from core.ids import task_id
from core.lanes import Lane
from core.models import StageKey
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import BatchDelta, TaskOutcome
from repositories.ports import Database, UnitOfWork

JOB = "0123456789abcdef" * 2
KEY = StageKey(JOB, 1)
OTHER_JOB = "f" * 32
LEASE_SECONDS = 600.0
"""Far more than a test takes: none ends but by `Harness.pass_time`."""
DISPATCHER = "dispatcher"
ERROR = '{"type":"ValueError","message":"no","traceback":""}'


def batch_of(count: int, batch_index: int = 0, *, stage: int = 1, job_id: str = JOB) -> AlignedBatch:
    """A batch of `count` tasks; its indexes follow those of batches of the same size before it."""
    first = batch_index * count
    definitions = tuple(TaskDefinition("greet", {"n": n}, n) for n in range(first, first + count))
    return AlignedBatch(job_id, stage, batch_index, Lane.FAST, definitions)


def ids(*indexes: int, stage: int = 1, job_id: str = JOB) -> list[str]:
    return [task_id(job_id, stage, index) for index in indexes]


def create_job(database: Database, job_id: str = JOB, total_stages: int = 3) -> None:
    with database.transaction() as work:
        assert work.jobs.create(job_id, "hello_world", '{"n":3}', total_stages)


def start_job(database: Database, job_id: str = JOB) -> None:
    create_job(database, job_id)
    with database.transaction() as work:
        assert work.jobs.mark_queued(job_id)
        assert work.jobs.start(job_id)


def start_stage(database: Database, stage: int = 1, *, job_id: str = JOB, max_failed_fraction: float = 0.0) -> None:
    """A dispatching stage of a job that is created when it is missing."""
    with database.transaction() as work:
        work.jobs.create(job_id, "hello_world", "{}", 3)
        assert work.stages.create(StageKey(job_id, stage), f"stage {stage}", max_failed_fraction)


def create_batch(database: Database, batch: AlignedBatch, status: BatchStatus = BatchStatus.QUEUED) -> None:
    with database.transaction() as work:
        assert write_batch(work, batch, status)


def write_batch(work: UnitOfWork, batch: AlignedBatch, status: BatchStatus) -> bool:
    """Writes a batch as a dispatcher does that takes the lease for it and releases it."""
    key = StageKey(batch.job_id, batch.stage)
    work.stages.acquire_dispatch_lease(key, DISPATCHER, LEASE_SECONDS)
    written = work.tasks.batch_create_tasks(batch, status, DISPATCHER)
    work.stages.release_dispatch_lease(key, DISPATCHER)
    return written


def queue_batch(database: Database, count: int = 3) -> AlignedBatch:
    """A dispatching stage 1 with one queued batch."""
    start_stage(database)
    batch = batch_of(count)
    create_batch(database, batch)
    return batch


def run_dispatch(database: Database, total_tasks: int, total_batches: int, stage: int = 1) -> None:
    """Ends a stage's dispatch."""
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(StageKey(JOB, stage), DISPATCHER, LEASE_SECONDS)
        assert work.stages.finish_dispatch(StageKey(JOB, stage), DISPATCHER, total_tasks, total_batches)


def end_batch(database: Database, batch_id: str, completed: int, failed: int = 0) -> None:
    """Ends the whole of a batch and counts it on its stage."""
    with database.transaction() as work:
        assert work.batches.apply_outcomes([BatchDelta(batch_id, completed, failed)]) == [batch_id]
        work.stages.add_finished_batches([batch_id])


def claim(database: Database, task_ids: list[str], lease_id: str = "mine") -> list[str]:
    """Claims; returns the ids that were claimed, sorted."""
    with database.transaction() as work:
        return sorted(task.task_id for task in work.tasks.claim(task_ids, lease_id, LEASE_SECONDS))


def completed(task_id: str, result: str = '"done"') -> TaskOutcome:
    return TaskOutcome(task_id, TaskStatus.COMPLETED, result=result)


def failed(task_id: str, error: str = ERROR) -> TaskOutcome:
    return TaskOutcome(task_id, TaskStatus.FAILED, error=error)


def retrying(task_id: str, delay_seconds: float = 30.0) -> TaskOutcome:
    return TaskOutcome(task_id, TaskStatus.RETRYING, error=ERROR, retry_delay_seconds=delay_seconds)


def record(database: Database, *outcomes: TaskOutcome, lease_id: str = "mine") -> list[str]:
    """Records; returns the ids that were written, sorted."""
    with database.transaction() as work:
        return sorted(task.task_id for task in work.tasks.record(lease_id, outcomes))


def status_of(database: Database, task_id: str) -> TaskStatus:
    with database.transaction() as work:
        task = work.tasks.get(task_id)
        assert task is not None
        return task.status
