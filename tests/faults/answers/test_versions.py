"""A host of the previous version dispatches a stage beside a newer one, with other tasks: a rolling deployment.

The previous version inserts batches without the dispatch lease, so nothing stops it when it is taken over.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import psycopg2

import wiring
from controllers import authoring as lockstep
from controllers.registry import Registry
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobMessage
from repositories.ports import Database, MessageQueue
from repositories.postgres import PostgresDatabase
from tests.fakes.queue import FakeQueue
from tests.faults.answers.neighbour import Neighbour
from tests.faults.answers.previous import PreviousDatabase, PreviousQueue
from tests.faults.invariants import assert_invariants
from tests.support.drive import SETTINGS, received
from wiring import App, Backends

_WAIT_SECONDS = 120
_TASKS, _TASKS_BEFORE = 200, 150

counting = lockstep.task_type("versions.one")(lambda context, parameters: parameters["n"])


def test_a_batch_of_the_previous_version_with_other_tasks_fails_its_job_and_no_neighbour(
    postgres_database: PostgresDatabase, database_url: str
) -> None:
    queue = FakeQueue()
    job_id, newer = _dispatch_side_by_side(postgres_database, queue, database_url, older_goes_on_first=True)
    neighbour_id = newer.submitter.submit("neighbour", {}).job_id
    _deliver(newer, queue)
    job = newer.status.job(job_id).job
    assert (job.status, job.error and job.error["type"]) == ("failed", "NonDeterministicStageError")
    assert_invariants(database_url, job_id, job_status="failed")
    assert_invariants(database_url, neighbour_id)


def test_the_previous_version_adds_nothing_to_a_stage_that_is_dispatched(
    postgres_database: PostgresDatabase, database_url: str
) -> None:
    queue = FakeQueue()
    job_id, newer = _dispatch_side_by_side(postgres_database, queue, database_url, older_goes_on_first=False)
    _deliver(newer, queue)
    assert newer.status.job(job_id).job.result == [_TASKS]
    assert_invariants(database_url, job_id)


def _dispatch_side_by_side(
    database: PostgresDatabase, queue: FakeQueue, database_url: str, *, older_goes_on_first: bool
) -> tuple[str, App]:
    """Has the older host lose its lease after a batch; it goes on while the newer one dispatches, or after that."""
    suspended, continued = Event(), Event()

    def suspend() -> None:
        suspended.set()
        assert continued.wait(_WAIT_SECONDS)

    def let_the_older_end() -> None:
        continued.set()
        older_ends.result(_WAIT_SECONDS)

    older = _host(_version(_TASKS_BEFORE, suspend), PreviousDatabase(database), PreviousQueue(queue))
    newer = _host(_version(_TASKS, let_the_older_end if older_goes_on_first else _nothing), database, queue)
    job_id = older.submitter.submit("versions", {}).job_id
    [message] = queue.receive(JOBS_QUEUE)
    with ThreadPoolExecutor(1) as process:
        older_ends = process.submit(older.stages.handle, JobMessage.decode(message.body))
        assert suspended.wait(_WAIT_SECONDS)
        with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
            cursor.execute("UPDATE stages SET dispatch_lease_expires_at = now()")
        newer.stages.handle(JobMessage.decode(message.body))
        let_the_older_end()
    return job_id, newer


def _version(total: int, at_101: Callable[[], object]) -> type[lockstep.JobController[lockstep.JobParameters]]:
    """A version with that many tasks; it calls a function before its second batch is complete."""

    class Versions(lockstep.JobController[lockstep.JobParameters]):
        job_type = "versions"
        stages = (lockstep.StageSpec("only"),)
        task_types = (counting,)

        def create_stage_tasks(
            self, job: lockstep.JobContext[lockstep.JobParameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            for index in range(total):
                if index == 101:
                    at_101()
                yield counting.task(index, {"n": index})

        def aggregate_stage_results(
            self,
            job: lockstep.JobContext[lockstep.JobParameters],
            stage: lockstep.StageContext,
            results: lockstep.TaskResults,
        ) -> lockstep.JsonValue:
            return sum(1 for _ in results)

    return Versions


def _nothing() -> None:
    pass


def _host(
    controller: type[lockstep.JobController[lockstep.JobParameters]], database: Database, queue: MessageQueue
) -> App:
    registry = Registry([controller, Neighbour])
    return wiring.wire(SETTINGS, registry, Backends(database, queue, list, lambda: None))


def _deliver(host: App, queue: FakeQueue) -> None:
    """Delivers messages until there are none, those of several jobs in one invocation."""
    while True:
        jobs, tasks = queue.receive(JOBS_QUEUE), queue.receive(TASKS_QUEUE)
        if not jobs and not tasks:
            return
        for message in jobs:
            host.stages.handle(JobMessage.decode(message.body))
        for start in range(0, len(tasks), 100):
            host.worker.run(TASKS_QUEUE, received(tasks[start : start + 100]))
