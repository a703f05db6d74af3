"""Rate and ETA are those of the last minutes of the current opening, and null where they would be a guess."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import JsonValue, TaskContext, TaskParameters
from core.errors import PermanentTaskError
from core.lanes import BATCHES_QUEUE, TASKS_QUEUE
from core.recent_ends import EndTimes
from core.statuses import JobStatus, StageStatus
from engine.jobs.stage_rates import StageRate, stage_rate
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import counted, sample_job

TWO_DAYS = 2 * 86_400


def rate_of(it: Stand, job_id: str, stage: int = 1) -> tuple[float | None, float | None]:
    rate = it.app.status.job(job_id).stages[stage - 1].rate
    return rate.tasks_per_second, rate.eta_seconds


class Messages:
    """The messages of the tasks of a job, of which a test delivers so many at a time."""

    def __init__(self, it: Stand) -> None:
        self._it = it
        self._messages = it.queue.receive(TASKS_QUEUE)
        assert not it.queue.receive(BATCHES_QUEUE)

    def end(self, count: int) -> None:
        for start in range(0, count, 100):
            part = self._messages[start : min(count, start + 100)]
            self._it.app.worker.run(TASKS_QUEUE, received(part))
        del self._messages[:count]


@contextmanager
def begun(count: int, dispatch_ahead: int = 10_000, **job: Any) -> Iterator[tuple[Stand, str, Messages]]:
    """A job of so many tasks whose dispatch has just ended."""
    with stand(sample_job(counted(count), **job), dispatch_ahead=dispatch_ahead) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        yield it, job_id, Messages(it)


def test_a_stage_that_has_just_begun_has_no_rate() -> None:
    with begun(100) as (it, job_id, _):
        assert rate_of(it, job_id) == (None, None)
        it.clock.advance(10)
        assert rate_of(it, job_id) == (None, None)


def test_a_stage_is_measured_since_it_began_while_that_is_not_long_ago() -> None:
    with begun(400) as (it, job_id, messages):
        it.clock.advance(50)
        messages.end(100)
        assert rate_of(it, job_id) == pytest.approx((2.0, 150.0))


def test_a_rate_is_that_of_the_last_minutes_and_not_of_all_the_time() -> None:
    with begun(1_000) as (it, job_id, messages):
        it.clock.advance(10)
        messages.end(800)
        for _ in range(60):
            it.clock.advance(20)
            messages.end(1)
        assert rate_of(it, job_id) == pytest.approx((0.05, 140 / 0.05), rel=0.06)


def test_a_rate_of_many_batches_is_that_of_the_last_minute() -> None:
    with begun(12_000, dispatch_ahead=20_000) as (it, job_id, messages):
        it.clock.advance(600)
        messages.end(3_000)
        for _ in range(60):
            it.clock.advance(1)
            messages.end(100)
        assert rate_of(it, job_id) == pytest.approx((100, 30), rel=0.02)


def test_a_stage_in_which_nothing_happens_has_no_rate() -> None:
    with begun(200) as (it, job_id, messages):
        it.clock.advance(10)
        messages.end(50)
        it.clock.advance(290)
        assert rate_of(it, job_id) == pytest.approx((50 / 300, 900))
        it.clock.advance(20)
        assert rate_of(it, job_id) == (None, None)


def test_long_tasks_have_a_rate_though_none_has_ended_for_minutes() -> None:
    with begun(200) as (it, job_id, messages):
        it.clock.advance(600)
        messages.end(6)
        it.clock.advance(600)
        with it.database.transaction() as work:
            work.tasks.claim([it.tasks(job_id)[-1].task_id], "a worker", 50)
        assert rate_of(it, job_id) == pytest.approx((6 / 1_200, 194 * 200))
        it.clock.advance(3_100)
        assert rate_of(it, job_id) == (None, None)


def test_there_is_no_eta_after_the_end_and_the_rate_is_the_average() -> None:
    with begun(2) as (it, job_id, messages):
        it.clock.advance(1)
        messages.end(2)
        it.pump()
        it.clock.advance(1_000)
        assert rate_of(it, job_id) == (2.0, None)


@contextmanager
def failed_in_part() -> Iterator[tuple[Stand, str]]:
    """A job of 1,000 tasks of which three have failed two days ago; they would complete now."""
    broken = {5, 305, 905}

    def handler(context: TaskContext, parameters: TaskParameters) -> JsonValue:
        if parameters["n"] in broken:
            raise PermanentTaskError("not yet")
        return None

    stages = (StageSpec("only", max_failed_fraction=0.5),)
    with begun(1_000, handler=handler, stages=stages) as (it, job_id, messages):
        it.clock.advance(100)
        messages.end(1_000)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED_WITH_ERRORS
        assert rate_of(it, job_id) == (10.0, None)
        it.clock.advance(TWO_DAYS)
        broken.clear()
        yield it, job_id


def test_a_retried_stage_is_measured_from_its_retry() -> None:
    with failed_in_part() as (it, job_id):
        it.app.reopener.retry(job_id)
        assert rate_of(it, job_id) == (None, None)
        it.clock.advance(1)
        it.deliver_job_messages()
        messages = Messages(it)
        assert rate_of(it, job_id) == (None, None)
        it.clock.advance(9)
        messages.end(1)
        assert rate_of(it, job_id) == pytest.approx((0.1, 20))
        it.clock.advance(30)
        messages.end(1)
        assert rate_of(it, job_id) == pytest.approx((0.05, 20))


def test_there_is_no_eta_while_batches_are_still_to_be_reopened() -> None:
    """Until then, failed tasks count as ended: what is left is unknown."""
    with begun(200) as (it, job_id, messages):
        it.clock.advance(10)
        messages.end(50)
        with it.database.transaction() as work:
            stage = replace(it.stage(job_id), status=StageStatus.DISPATCHING)
            ends = work.batch_overviews.recent_ends(stage.key, EndTimes.until(work.now(), stage.created_at))
            assert stage_rate(stage, work.stages.counts(stage.key), ends, work.now()) == StageRate(5.0, None)


def test_a_stage_that_ended_after_a_retry_has_no_rate_of_two_days() -> None:
    with failed_in_part() as (it, job_id):
        it.app.reopener.retry(job_id)
        it.clock.advance(10)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert rate_of(it, job_id) == (None, None)


def test_a_resumed_stage_is_measured_from_its_resumption() -> None:
    with begun(400) as (it, job_id, messages):
        it.clock.advance(50)
        messages.end(100)
        it.app.canceller.cancel(job_id)
        it.pump()
        it.clock.advance(30)
        it.app.reopener.resume(job_id)
        it.deliver_job_messages()
        assert rate_of(it, job_id) == (None, None)
        again = Messages(it)
        it.clock.advance(10)
        again.end(50)
        assert rate_of(it, job_id) == pytest.approx((5, 50))
