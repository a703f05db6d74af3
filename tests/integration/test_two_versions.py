"""Two versions of a job type dispatch one stage, as in a rolling deployment: real database, real broker."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import psycopg2
import pytest

from controllers import authoring as lockstep
from tests.integration.conftest import BuildApp
from tests.support.mailbox import Mailbox
from tests.support.waiting import LONG_SECONDS

WAIT_SECONDS = LONG_SECONDS

counting = lockstep.task_type("versions.one")(lambda context, parameters: parameters["n"])


Controller = lockstep.JobController[lockstep.JobParameters]


def version(total: int, at_101: Callable[[], object], protocol: lockstep.DispatchProtocol) -> type[Controller]:
    """A version with `total` tasks, 101 or more; it calls a function before its second batch is complete."""

    class Versions(Controller):
        job_type = "versions"
        stages = (lockstep.StageSpec("only"),)
        task_types = (counting,)
        dispatch_protocol = protocol

        def create_stage_tasks(
            self, job: lockstep.JobContext[lockstep.JobParameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            for index in range(total):
                if index == 101:
                    at_101()
                yield counting.task(index, {"n": index})

    return Versions


@pytest.mark.parametrize("protocol", list(lockstep.DispatchProtocol))
def test_an_older_version_that_was_taken_over_writes_no_batch(
    build_app: BuildApp, mailbox: Mailbox, database_url: str, protocol: lockstep.DispatchProtocol
) -> None:
    """The newer version has read the earlier batches when the older one goes on."""
    suspended, continued = Event(), Event()

    def suspend() -> None:
        suspended.set()
        assert continued.wait(WAIT_SECONDS)

    def let_the_older_end() -> None:
        continued.set()
        older_ends.result(WAIT_SECONDS)

    older = build_app([version(150, suspend, protocol)])
    newer = build_app([version(200, let_the_older_end, protocol)])
    job_id = older.submitter.submit("versions", {}).job_id
    message = mailbox.take_job_message()
    with ThreadPoolExecutor(1) as process:
        older_ends = process.submit(older.stages.handle, message)
        assert suspended.wait(WAIT_SECONDS)
        with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
            cursor.execute("UPDATE stages SET dispatch_lease_expires_at = now()")
        newer.stages.handle(message)

    stage = newer.status.job(job_id).stages[0].stage
    batches = newer.status.batches(job_id, (0, 0), 100)
    tasks = newer.status.tasks(job_id, None, "", 1000)
    assert (stage.status, stage.total_tasks, stage.total_batches) == ("running", 200, 2)
    assert ([batch.task_count for batch in batches], len(tasks)) == ([100, 100], 200)
    messages = mailbox.take_tasks(newer)
    assert set(messages.task_ids) == {task.task_id for task in tasks}
    messages.run(newer)
    assert newer.status.job(job_id).stages[0].stage.status == "finished"
