"""Limits of task types on the real database and the real broker: several processes never exceed them together."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from controllers import authoring as lockstep
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobMessage
from core.task_runs import ClaimedTask
from repositories.ports import UnitOfWork
from tests.integration.conftest import BuildApp
from tests.support.mailbox import Mailbox
from tests.support.waiting import wait_until
from wiring import App

N = 12


class Crowd:
    """Counts the handlers of each task type that run at once."""

    def __init__(self) -> None:
        self.most: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def one_more(self, task_type: str) -> Iterator[None]:
        with self._changed:
            self._now[task_type] += 1
            self.most[task_type] = max(self.most[task_type], self._now[task_type])
            self._changed.notify_all()
            # Every limit lets a second task run; its message is on its way.
            assert self._changed.wait_for(lambda: self.most[task_type] > 1, timeout=120)
        yield
        with self._changed:
            self._now[task_type] -= 1


crowd = Crowd()


class LimitParameters(lockstep.JobParameters):
    label: str = "a"


def _handler(task_type: str) -> lockstep.Handler:
    def run(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> None:
        with crowd.one_more(task_type):
            time.sleep(0.01)
        if parameters["n"] % 4 == 3 and context.attempt == 1:
            raise OSError("busy")

    return run


def _type(name: str, **limits: Any) -> lockstep.TaskType:
    return lockstep.task_type(name, backoff=lockstep.Backoff(base_seconds=0), **limits)(_handler(name))


class Mixed(lockstep.JobController[LimitParameters]):
    """Tasks of two task types in turn; every fourth of a type fails once."""

    job_type = "mixed"
    stages = (lockstep.StageSpec("all"),)
    task_types = (_type("mixed.narrow", max_running=2), _type("mixed.wide", max_running=3))

    def create_stage_tasks(
        self, job: lockstep.JobContext[LimitParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index in range(N):
            yield self.task_types[index % 2].task(index, {"n": index // 2})


class Paced(Mixed):
    job_type = "paced"
    task_types = (_type("paced.slow", rate=lockstep.Rate(3, 1)), _type("paced.free"))


def _drive(apps: Sequence[App], mailbox: Mailbox, job_ids: Sequence[str]) -> None:
    """Delivers messages until the jobs have ended, those of tasks to all apps at once, one message in an invocation."""
    ends_at = time.monotonic() + 240
    runs: list[Future[None]] = []
    with ThreadPoolExecutor(8) as threads:
        while any(apps[0].status.job(job_id).job.finished_at is None for job_id in job_ids):
            assert time.monotonic() < ends_at, "the jobs do not end"
            for raw in mailbox.take_some(JOBS_QUEUE):
                apps[0].stages.handle(JobMessage.decode(raw.body))
            runs += [threads.submit(apps[-1].worker.run_batch, raw) for raw in mailbox.take_some(BATCHES_QUEUE)]
            runs += [
                threads.submit(apps[number % len(apps)].worker.run, TASKS_QUEUE, [raw])
                for number, raw in enumerate(mailbox.take_some(TASKS_QUEUE))
            ]
            for run in [each for each in runs if each.done()]:
                run.result()
                runs.remove(run)
        for run in runs:
            run.result()


def test_two_jobs_with_limits_run_to_their_ends_with_retries_and_are_never_over_the_limit(
    build_app: BuildApp, mailbox: Mailbox
) -> None:
    apps = [build_app([Mixed]) for _ in range(2)]
    job_ids = [apps[0].submitter.submit("mixed", {"label": label}).job_id for label in "ab"]
    _drive(apps, mailbox, job_ids)
    assert crowd.most["mixed.narrow"] == 2
    assert 2 <= crowd.most["mixed.wide"] <= 3
    for job_id in job_ids:
        assert apps[0].status.job(job_id).job.status == lockstep.JobStatus.COMPLETED
        tasks = apps[0].status.tasks(job_id, None, "", 1000)
        assert [task.failures for task in tasks] == [index // 2 % 4 == 3 for index in range(N)]
        assert [task.attempt for task in tasks] == [1 + (index // 2 % 4 == 3) for index in range(N)]
    with apps[0].database.transaction() as work:
        assert work.slots.limited_types() in (["mixed.narrow", "mixed.wide"], ["mixed.narrow"], ["mixed.wide"], [])
    assert apps[0].sweeper.sweep().parked == 0
    with apps[0].database.transaction() as work:
        assert work.slots.limited_types() == [], "no row is left"


def test_starts_keep_to_the_rate_by_the_times_in_their_rows(build_app: BuildApp, mailbox: Mailbox) -> None:
    apps = [build_app([Paced]) for _ in range(2)]
    job_id = apps[0].submitter.submit("paced", {}).job_id
    _drive(apps, mailbox, [job_id])
    starts = sorted(
        task.started_at
        for task in apps[0].status.tasks(job_id, None, "", 1000)
        if task.task_type == "paced.slow"
        if task.started_at is not None
    )
    assert len(starts) == N // 2
    assert all(later - first >= timedelta(seconds=1) for first, later in zip(starts, starts[3:], strict=False))


def test_claims_of_mixed_types_neither_exceed_a_limit_nor_deadlock(build_app: BuildApp, mailbox: Mailbox) -> None:
    """Eight threads claim the tasks of both types in different orders, and release them."""
    app = build_app([Mixed], DATABASE_POOL_SIZE="10")
    job_id = app.submitter.submit("mixed", {}).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, N)
    task_ids = [task.task_id for task in app.status.tasks(job_id, None, "", 1000)]
    limits = {"mixed.narrow": 2, "mixed.wide": 3}
    live: Counter[str] = Counter()
    lock = threading.Lock()

    def claim_and_release(number: int) -> Counter[str]:
        claimed: Counter[str] = Counter()
        for turn in range(10):
            lease_id = f"{number}-{turn}"

            def claim(work: UnitOfWork, ids: Sequence[str], lease_id: str = lease_id) -> list[ClaimedTask]:
                return work.tasks.claim(ids, lease_id, 50)

            with app.database.transaction() as work:  # a deadlock raises: nothing repeats it
                found = app.slots.claim(work, task_ids[:: 1 if number % 2 else -1], lease_id, claim).tasks
            types = Counter(task.task_type for task in found)
            with lock:
                live.update(types)
                assert all(live[each] <= limits[each] for each in live)
            time.sleep(0.002)
            with lock:
                live.subtract(types)
            with app.database.transaction() as work:
                work.tasks.release([task.task_id for task in found], lease_id)
            claimed += types
        return claimed

    with ThreadPoolExecutor(8) as threads:
        claimed = sum(threads.map(claim_and_release, range(8)), Counter[str]())
    assert claimed.keys() == limits.keys()


def test_a_type_that_is_locked_for_long_keeps_no_other_task_from_running(build_app: BuildApp, mailbox: Mailbox) -> None:
    app = build_app([Paced], DATABASE_LOCK_TIMEOUT_SECONDS="0.2")
    job_id = app.submitter.submit("paced", {}).job_id
    app.stages.handle(mailbox.take_job_message())
    messages = mailbox.take_tasks(app, N)
    with app.database.transaction() as work:
        work.slots.lock("paced.slow")
        messages.run(app)
    tasks = app.status.tasks(job_id, None, "", 1000)
    assert {task.status for task in tasks if task.task_type == "paced.free"} == {"completed", "retrying"}
    assert {(task.status, task.attempt) for task in tasks if task.task_type == "paced.slow"} == {("queued", 0)}
    left = {task.task_id for task in tasks if task.status != "completed"}
    assert len(left) == N // 2 + 1  # one retry, and the tasks whose type was locked: they are rescheduled
    sent: set[str] = set()

    def all_are_sent() -> bool:
        sent.update(mailbox.take_some_tasks(app))
        return left <= sent

    wait_until(all_are_sent)
