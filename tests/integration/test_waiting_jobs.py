"""Jobs that wait, on PostgreSQL: hosts that submit and end jobs at once, and a host that dies between two steps."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any, Protocol

import psycopg2
import pytest
from psycopg2.extensions import connection

import wiring
from controllers import authoring as lockstep
from controllers.registry import Registry
from core.errors import ExclusiveJobError, LockstepError
from core.job_waits import StartConditions
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobMessage
from core.statuses import JobStatus, TaskStatus
from core.task_runs import BatchDelta, TaskOutcome
from repositories import queries
from repositories.postgres import PostgresDatabase
from repositories.rows import PostgresRows
from tests.fakes.clock import FakeClock
from tests.fakes.queue import FakeQueue
from tests.support.drive import SETTINGS, received
from wiring import App, Backends

HOSTS = 4
ROUNDS = 5


class KeyedParameters(lockstep.JobParameters):
    name: str
    key: str | None = None


working = lockstep.task_type("waiting.work")(lambda context, parameters: None)


def job_type(mode: lockstep.WhenExclusive) -> type[lockstep.JobController[Any]]:
    class Keyed(lockstep.JobController[KeyedParameters]):
        job_type = "waiting"
        stages = (lockstep.StageSpec("only"),)
        task_types = (working,)
        when_exclusive = mode

        def exclusive_key(self, parameters: KeyedParameters) -> str | None:
            return parameters.key

        def create_stage_tasks(
            self, job: lockstep.JobContext[KeyedParameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            yield from (working.task(index, {}) for index in range(2))

    return Keyed


class Hosts:
    """Some hosts on one database; each has a queue of its own."""

    def __init__(self, database: PostgresDatabase, mode: lockstep.WhenExclusive) -> None:
        self.database = database
        self.queues = [FakeQueue(FakeClock()) for _ in range(HOSTS)]
        self.apps = [
            wiring.wire(SETTINGS, Registry([job_type(mode)]), Backends(database, queue, list, lambda: None))
            for queue in self.queues
        ]

    def all_at_once(self, action: Callable[[App, int], Any]) -> list[Any]:
        """Calls an action on each host at the same moment; returns what they return or raise."""
        start = Barrier(HOSTS)

        def call(number: int) -> Any:
            start.wait()
            try:
                return action(self.apps[number], number)
            except LockstepError as exc:
                return exc

        with ThreadPoolExecutor(HOSTS) as threads:
            return list(threads.map(call, range(HOSTS)))

    def pump(self) -> None:
        """Delivers the messages of all queues until there are none."""
        for _ in range(100):
            found = 0
            for app, queue in zip(self.apps, self.queues, strict=True):
                for message in queue.receive(JOBS_QUEUE):
                    app.stages.handle(JobMessage.decode(message.body))
                    found += 1
                tasks = queue.receive(TASKS_QUEUE)
                if tasks:
                    app.worker.run(TASKS_QUEUE, received(tasks))
                found += len(tasks)
            if not found:
                return
        raise AssertionError("the queues do not come to rest")

    def status(self, job_id: str) -> JobStatus:
        with self.database.transaction() as work:
            job = work.jobs.get(job_id)
        assert job is not None
        return job.status


class Start(Protocol):
    """Starts hosts."""

    def __call__(self, mode: lockstep.WhenExclusive = ...) -> Hosts: ...


def submit(app: App, name: object, key: str | None = "table", *after: str) -> str:
    given = {"name": str(name), "key": key}
    return app.submitter.submit("waiting", given, conditions=StartConditions(after=after)).job_id


@pytest.fixture
def hosts(postgres_database: PostgresDatabase) -> Iterator[Start]:
    started: list[Hosts] = []

    def start(mode: lockstep.WhenExclusive = lockstep.WhenExclusive.WAIT) -> Hosts:
        started.append(Hosts(postgres_database, mode))
        return started[-1]

    yield start
    for each in started:
        for app in each.apps:
            app.close()


@pytest.fixture
def conn(database_url: str) -> Iterator[connection]:
    with closing(psycopg2.connect(database_url)) as conn:
        conn.autocommit = True
        yield conn


def holders(conn: connection) -> dict[str, str]:
    with conn.cursor() as cursor:
        cursor.execute("SELECT key, job_id FROM job_keys")
        return dict(cursor.fetchall())


def assert_nobody_holds_or_waits(conn: connection) -> None:
    assert holders(conn) == {}
    with conn.cursor() as cursor:
        cursor.execute("SELECT job_id, status FROM jobs WHERE status <> 'completed'")
        assert cursor.fetchall() == []


def test_of_jobs_with_one_key_that_are_submitted_at_once_one_is_accepted(hosts: Start, conn: connection) -> None:
    them = hosts(lockstep.WhenExclusive.REFUSE)
    for number in range(ROUNDS):
        key = f"table {number}"
        answers = them.all_at_once(lambda app, host, key=key: submit(app, host, key))  # type: ignore[misc]
        (accepted,) = [each for each in answers if isinstance(each, str)]
        refused = [each for each in answers if isinstance(each, ExclusiveJobError)]
        assert (len(refused), {each.holder for each in refused}) == (HOSTS - 1, {accepted})
        assert holders(conn)[key] == accepted
        them.pump()
    assert_nobody_holds_or_waits(conn)


def test_of_jobs_with_one_key_that_are_submitted_at_once_one_starts_and_the_others_follow(
    hosts: Start, conn: connection
) -> None:
    them = hosts(lockstep.WhenExclusive.WAIT)
    for number in range(ROUNDS):
        jobs = them.all_at_once(lambda app, host, number=number: submit(app, f"{number} {host}"))  # type: ignore[misc]
        statuses = sorted(them.status(each) for each in jobs)
        assert statuses == [JobStatus.QUEUED] + [JobStatus.WAITING] * (HOSTS - 1)
        them.pump()
        assert {them.status(each) for each in jobs} == {JobStatus.COMPLETED}
    assert_nobody_holds_or_waits(conn)


def test_hosts_that_release_the_next_job_at_once_release_one(hosts: Start, conn: connection) -> None:
    them = hosts()
    first, *others = (submit(them.apps[0], name) for name in range(HOSTS + 1))
    with them.database.transaction() as work:  # a host dies after this commit
        assert work.jobs.finish(first, JobStatus.CANCELLED, None, None)
        work.waits.release_key(first)
    them.all_at_once(lambda app, _: app.sweeper.sweep())
    assert [them.status(each) for each in others] == [JobStatus.QUEUED] + [JobStatus.WAITING] * (HOSTS - 1)
    assert holders(conn) == {"table": others[0]}


def test_a_job_and_the_one_after_it_meet_whichever_comes_first(hosts: Start) -> None:
    """A job ends while another is submitted to start after it."""
    them = hosts()
    for number in range(ROUNDS):
        first = submit(them.apps[0], f"first {number}", None)

        def act(app: App, host: int, first: str = first, number: int = number) -> Any:
            return app.canceller.cancel(first) if host == 0 else submit(app, f"{number} {host}", None, first)

        _, *others = them.all_at_once(act)
        assert {them.status(each) for each in others} == {JobStatus.CANCELLED}


def test_a_cancelled_job_keeps_its_key_while_a_task_of_it_runs(hosts: Start, conn: connection) -> None:
    them = hosts(lockstep.WhenExclusive.REFUSE)
    app, queue = them.apps[0], them.queues[0]
    first = submit(app, "first")
    app.stages.handle(JobMessage.decode(queue.receive(JOBS_QUEUE)[0].body))
    task_ids = sorted(task.task_id for task in app.status.tasks(first, None, "", 10))
    with them.database.transaction() as work:
        assert len(work.tasks.claim(task_ids[:1], "running", 50)) == 1
    app.canceller.cancel(first)
    them.pump()
    with pytest.raises(ExclusiveJobError):
        submit(app, "second")
    with them.database.transaction() as work:
        (task,) = [each for each in work.tasks.page(first, None, "", 10) if each.status == "processing"]
        work.tasks.record("running", [TaskOutcome(task.task_id, TaskStatus.COMPLETED, result="1")])
        finished = work.batches.apply_outcomes([BatchDelta(task.batch_id, completed=1)])
        work.stages.add_finished_batches(finished)
    assert holders(conn) == {}
    assert them.status(submit(app, "second")) == JobStatus.QUEUED


def test_a_host_of_the_version_before_neither_starts_nor_loses_a_job_that_waits(hosts: Start, conn: connection) -> None:
    """Its statements name the statuses that it knows; the sweeper of this version does what it leaves undone."""
    them = hosts()
    first, second = (submit(them.apps[0], name) for name in range(2))
    with them.database.transaction() as work:  # these statements are those of the version before
        found = [work.sweeps.unstarted_jobs(status, 0, 10) for status in (JobStatus.PENDING_QUEUE, JobStatus.QUEUED)]
        assert found == [[], [first]]
        assert not work.jobs.mark_queued(second)
        assert not work.jobs.start(second)
        assert work.jobs.start(first)
    with conn.cursor() as cursor:
        cursor.execute("UPDATE jobs SET status = 'completed', finished_at = now() WHERE job_id = %s", (first,))
    assert holders(conn) == {"table": first}
    them.apps[1].sweeper.sweep()
    assert (them.status(second), holders(conn)) == (JobStatus.QUEUED, {"table": second})


def test_a_job_that_waits_for_nothing_costs_no_statement(hosts: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the statement of its end looks into the tables of waiting jobs."""
    them = hosts()
    statements: list[str] = []
    execute, read = PostgresRows.execute, PostgresRows.all

    def note_execute(self: PostgresRows, query: str, parameters: Any = None) -> int:
        statements.append(query)
        return execute(self, query, parameters)

    def note_read(self: PostgresRows, query: str, parameters: Any = None) -> list[Any]:
        statements.append(query)
        return read(self, query, parameters)

    monkeypatch.setattr(PostgresRows, "execute", note_execute)
    monkeypatch.setattr(PostgresRows, "all", note_read)
    job_id = submit(them.apps[0], "free", None)
    jobs = queries.load("jobs")
    submission = [jobs[name] for name in ("create", "mark_queued")]
    assert statements == submission
    them.pump()
    assert them.status(job_id) == JobStatus.COMPLETED
    tables = ("job_waits", "job_keys", "job_dependencies")
    assert {each for each in statements if any(table in each for table in tables)} == {jobs["finish"]}
