"""The queues of the app, with a broker that counts, refuses or is silent."""

import threading
from collections.abc import Iterator

import pytest

from core.errors import CountsUnavailableError, DatabaseUnavailableError
from core.lanes import JOBS_QUEUE, QUEUES, TASKS_QUEUE, Transport
from engine.jobs import queue_reader
from engine.jobs.queue_reader import QueueReader, QueueView
from repositories.ports import MessageCounts, OldestWaiting
from tests.fakes.backlog import FakeBacklogRepository
from tests.fakes.queue_counts import FakeQueueCounts
from tests.support.defaults import set_defaults
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from tests.support.waiting import LONG_SECONDS, wait_until


@pytest.fixture
def it() -> Iterator[Stand]:
    with stand(sample_job(counted(2))) as it:
        yield it


@pytest.fixture
def counts() -> Iterator[FakeQueueCounts]:
    counting = FakeQueueCounts()
    yield counting
    counting.may_answer.set()


@pytest.fixture(autouse=True)
def _long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers wait for each answer, and keep it, unless a test says otherwise."""
    set_defaults(monkeypatch, QueueReader.__init__, broker_seconds=LONG_SECONDS, database_seconds=LONG_SECONDS)
    monkeypatch.setattr(queue_reader, "MAX_AGE_SECONDS", LONG_SECONDS)


def by_name(views: list[QueueView]) -> dict[str, QueueView]:
    return {view.name: view for view in views}


def test_every_queue_is_told_with_its_messages_and_its_oldest_waiting_task(it: Stand, counts: FakeQueueCounts) -> None:
    it.submit("sample")
    it.deliver_job_messages()
    it.clock.advance(30)
    views = by_name(QueueReader(it.database, {Transport.SERVICE_BUS: counts}).all())
    assert tuple(views) == QUEUES
    assert views[TASKS_QUEUE] == QueueView(
        TASKS_QUEUE, Transport.SERVICE_BUS, MessageCounts(len(TASKS_QUEUE), 1, 0), None, 30.0
    )
    assert views[JOBS_QUEUE].oldest_waiting_seconds is None


def test_the_queues_of_both_transports_are_told_apart_and_one_that_fails_hides_nothing(
    it: Stand, counts: FakeQueueCounts
) -> None:
    refused = FakeQueueCounts()
    refused.fails = CountsUnavailableError("it may not")
    views = QueueReader(it.database, {Transport.STORAGE: counts, Transport.SERVICE_BUS: refused}).all()
    assert [(view.transport, view.name) for view in views] == [
        (transport, name) for transport in (Transport.STORAGE, Transport.SERVICE_BUS) for name in QUEUES
    ]
    assert all(view.counts for view in views[: len(QUEUES)])
    assert {view.reason for view in views[len(QUEUES) :]} == {"it may not"}


def test_requests_share_what_was_counted_and_read_a_few_seconds_ago(it: Stand, counts: FakeQueueCounts) -> None:
    reader = QueueReader(it.database, {Transport.SERVICE_BUS: counts})
    first = reader.all()
    it.submit("sample")
    it.deliver_job_messages()
    assert (
        by_name(QueueReader(it.database, {Transport.SERVICE_BUS: counts}).all())[TASKS_QUEUE].oldest_waiting_seconds
        == 0
    )
    counts.asked.clear()
    assert reader.all() == first
    assert not counts.asked


def test_a_silent_broker_holds_no_request(it: Stand, counts: FakeQueueCounts) -> None:
    counts.may_answer.clear()
    reader = QueueReader(it.database, {Transport.SERVICE_BUS: counts}, broker_seconds=0.05)
    for _ in range(2):  # the second request does not wait
        for view in reader.all():
            assert view.counts is None
            assert "in time" in str(view.reason)
    wait_until(lambda: counts.asked == dict.fromkeys(QUEUES, 1))


def test_a_silent_database_holds_no_request(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may_answer = list[int](), threading.Event()

    def hang(*_: object) -> list[OldestWaiting]:
        asked.append(1)
        may_answer.wait(LONG_SECONDS)
        return []

    monkeypatch.setattr(FakeBacklogRepository, "oldest", hang)
    reader = QueueReader(it.database, {Transport.SERVICE_BUS: None}, database_seconds=0.05)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError, match="in time"):
            reader.all()
    wait_until(lambda: asked == [1])
    may_answer.set()


def test_requests_get_the_error_of_the_database(it: Stand) -> None:
    it.database.go_away(60)
    reader = QueueReader(it.database, {Transport.SERVICE_BUS: None})
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            reader.all()


@pytest.mark.parametrize(
    ("error", "told"), [(CountsUnavailableError("it may not"), "it may not"), (ValueError("a secret"), "logs")]
)
def test_the_reason_is_told_instead_of_counts(it: Stand, counts: FakeQueueCounts, error: Exception, told: str) -> None:
    counts.fails = error
    for view in QueueReader(it.database, {Transport.SERVICE_BUS: counts}).all():
        assert view.counts is None
        assert told in str(view.reason)
        assert "secret" not in str(view.reason)


def test_without_a_broker_that_counts_the_rows_are_told(it: Stand) -> None:
    assert {view.counts for view in it.app.queues.all()} == {None}
    assert all(view.reason for view in it.app.queues.all())
