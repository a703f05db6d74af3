"""The queues of the app, with a broker that counts, refuses or is silent."""

from collections.abc import Iterator

import pytest

from core.errors import CountsUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from engine.jobs.queue_reader import QUEUES, QueueReader, QueueView
from repositories.ports import MessageCounts
from tests.fakes.queue_counts import FakeQueueCounts
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job


@pytest.fixture
def it() -> Iterator[Stand]:
    with stand(sample_job(counted(2))) as it:
        yield it


@pytest.fixture
def counts() -> Iterator[FakeQueueCounts]:
    counting = FakeQueueCounts()
    yield counting
    counting.may_answer.set()


def by_name(views: list[QueueView]) -> dict[str, QueueView]:
    return {view.name: view for view in views}


def test_every_queue_is_told_with_its_messages_and_its_oldest_waiting_task(it: Stand, counts: FakeQueueCounts) -> None:
    it.submit("sample")
    it.deliver_job_messages()
    it.clock.advance(30)
    views = by_name(QueueReader(it.database, counts).all())
    assert tuple(views) == QUEUES
    assert views[TASKS_QUEUE] == QueueView(TASKS_QUEUE, MessageCounts(len(TASKS_QUEUE), 1, 0), None, 30.0)
    assert views[JOBS_QUEUE].oldest_waiting_seconds is None


def test_requests_share_the_counts_of_a_few_seconds(it: Stand, counts: FakeQueueCounts) -> None:
    reader = QueueReader(it.database, counts)
    assert reader.all() == reader.all()
    assert counts.asked == dict.fromkeys(QUEUES, 1)


def test_a_silent_broker_holds_no_request(it: Stand, counts: FakeQueueCounts) -> None:
    counts.may_answer.clear()
    reader = QueueReader(it.database, counts, answer_seconds=0.05)
    for _ in range(2):  # the second request does not wait
        for view in reader.all():
            assert view.counts is None
            assert "in time" in str(view.reason)
    assert counts.asked == dict.fromkeys(QUEUES, 1)


@pytest.mark.parametrize(
    ("error", "told"), [(CountsUnavailableError("it may not"), "it may not"), (ValueError("a secret"), "logs")]
)
def test_the_reason_is_told_instead_of_counts(it: Stand, counts: FakeQueueCounts, error: Exception, told: str) -> None:
    counts.fails = error
    for view in QueueReader(it.database, counts).all():
        assert view.counts is None
        assert told in str(view.reason)
        assert "secret" not in str(view.reason)


def test_without_a_broker_that_counts_the_rows_are_told(it: Stand) -> None:
    assert {view.counts for view in it.app.queues.all()} == {None}
    assert all(view.reason for view in it.app.queues.all())
