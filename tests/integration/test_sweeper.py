"""The sweeper's repairs, on the real database and a real broker that stops."""

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

import bootstrap
from core.messages import JobMessage
from core.statuses import JobStatus
from engine.repair.sweeper import SweepReport
from settings import Settings
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.app_transport import TRANSPORTS, chosen_transport
from tests.support.long_deadlines import LONG_DEADLINES
from tests.support.mailbox import Mailbox, TaskMessages
from tests.support.ports import lasting_port
from wiring import App

# The client leaves the sockets of a stopped broker to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

N = 120
TRANSPORT = TRANSPORTS[chosen_transport()]
ECHO = counting_job(returning(lambda index: index))


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """Collects sockets after this test, so that the warning does not reach another one."""
    yield
    gc.collect()


@pytest.fixture
def port() -> int:
    """The port of the broker, before and after it is stopped."""
    return lasting_port()


@pytest.fixture
def app(database_url: str, port: int) -> Iterator[App]:
    """An application whose broker the test starts."""
    environment = {"DATABASE_URL": database_url, **TRANSPORT.settings_at(port), **LONG_DEADLINES}
    built = bootstrap.build(Settings.from_environment(environment), [ECHO])
    yield built
    built.close()


def grow_old(database_url: str) -> None:
    """Makes all rows ten minutes older."""
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cursor:
            cursor.execute("""
                UPDATE jobs SET created_at = created_at - interval '10 min', queued_at = queued_at - interval '10 min';
                UPDATE stages
                SET created_at = created_at - interval '10 min', attended_at = attended_at - interval '10 min';
                UPDATE batches
                SET created_at = created_at - interval '10 min', queued_at = queued_at - interval '10 min';
                UPDATE tasks SET lease_expires_at = lease_expires_at - interval '10 min';
            """)
    finally:
        conn.close()


def finish(app: App, mailbox: Mailbox, tasks: TaskMessages, job_id: str) -> None:
    """Runs the tasks and asserts that the job completes."""
    tasks.run(app)
    app.stages.handle(mailbox.take_job_message())
    report = app.status.job(job_id)
    assert report.job.status == JobStatus.COMPLETED
    with app.database.transaction() as work:
        [stage] = work.stages.of_job(job_id)
    assert (stage.completed_tasks, stage.total_tasks) == (N, N)


def test_a_submission_is_accepted_without_a_broker_and_runs_when_it_is_there(
    app: App, database_url: str, port: int
) -> None:
    submission = app.submitter.submit("counting", {"n": N})
    assert submission.status == JobStatus.PENDING_QUEUE
    with TRANSPORT.started(port) as broker:
        grow_old(database_url)
        assert app.sweeper.sweep() == SweepReport(jobs=1)
        with broker.mailbox() as mailbox:
            app.stages.handle(mailbox.take_job_message())
            finish(app, mailbox, mailbox.take_tasks(app, N), submission.job_id)


def test_a_broker_that_restarts_empty_is_filled_again(app: App, database_url: str, port: int) -> None:
    with TRANSPORT.started(port) as broker, broker.mailbox() as mailbox:
        job_id = app.submitter.submit("counting", {"n": N}).job_id
        app.stages.handle(mailbox.take_job_message())
    with TRANSPORT.started(port) as broker, broker.mailbox() as mailbox:
        grow_old(database_url)
        assert app.sweeper.sweep() == SweepReport(silent_tasks=N)
        assert app.sweeper.sweep() == SweepReport()
        finish(app, mailbox, mailbox.take_singles("sb-tasks", N), job_id)


def test_sweepers_that_run_at_once_send_nothing_twice(build_app: BuildApp, mailbox: Mailbox, database_url: str) -> None:
    apps = [build_app([ECHO]) for _ in range(3)]
    job_id = apps[0].submitter.submit("counting", {"n": N}).job_id
    apps[0].stages.handle(JobMessage.decode(mailbox.take("sb-jobs", 1)[0].body))
    task_ids = mailbox.take_tasks(apps[0], N).task_ids
    with apps[0].database.transaction() as work:
        assert len(work.tasks.claim(task_ids, "a worker that died", 50)) == N
    grow_old(database_url)
    with ThreadPoolExecutor(len(apps)) as threads:
        reports = list(threads.map(lambda app: app.sweeper.sweep(), apps))
    assert sum(report.leases for report in reports) == N
    finish(apps[0], mailbox, mailbox.take_singles("sb-tasks", N), job_id)
