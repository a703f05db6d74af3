"""How many batches are in flight: two at first, and one more for each long wait."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import pytest

from controllers.base import DispatchProtocol
from core.errors import DispatchInterruptedError, QueueUnavailableError
from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage
from core.statuses import StageStatus
from engine.stages import batch_threads
from engine.stages.batch_threads import AT_FIRST, BatchThreads
from repositories.ports import SendResult
from tests.support.drive import stand
from tests.support.sample_jobs import counted, sample_job
from tests.support.waiting import LONG_SECONDS

SECONDS = LONG_SECONDS


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait is long."""
    monkeypatch.setattr(batch_threads, "LONG_WAIT_SECONDS", SECONDS)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait is long."""
    monkeypatch.setattr(batch_threads, "LONG_WAIT_SECONDS", 0.001)


class CountedSends:
    """Holds the first sends until as many as are expected have begun, and gives one too many the time to begin.

    Attributes:
        most: how many were made at once.
    """

    def __init__(self, send: Callable[[str, Sequence[OutgoingMessage]], SendResult]) -> None:
        self.most = 0
        self._send = send
        self._now = 0
        self._lock = threading.Lock()
        self._enough, self._too_many = threading.Event(), threading.Event()

    def __call__(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if queue != TASKS_QUEUE:
            return self._send(queue, messages)
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if self._now >= AT_FIRST:
                self._enough.set()
            if self._now > AT_FIRST:
                self._too_many.set()
        assert self._enough.wait(SECONDS)
        self._too_many.wait(0.05)
        with self._lock:
            self._now -= 1
        return self._send(queue, messages)


@pytest.mark.usefixtures("patient")
def test_a_dispatch_whose_waits_are_short_has_two_batches_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(500)), dispatch_parallel=8) as it:
        sends = CountedSends(it.queue.batch_send_messages)
        monkeypatch.setattr(it.queue, "batch_send_messages", sends)
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.RUNNING
        assert sends.most == AT_FIRST


@pytest.mark.usefixtures("patient")
def test_fifty_batches_go_on_while_the_first_waits_for_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    others_are_sent = threading.Semaphore(0)
    with stand(sample_job(counted(5_000)), dispatch_parallel=2) as it:
        send = it.queue.batch_send_messages

        def first_waits(queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
            if "-t0000000:" in messages[0].message_id:
                assert all(others_are_sent.acquire(timeout=SECONDS) for _ in range(49))
            elif queue == TASKS_QUEUE:
                others_are_sent.release()
            return send(queue, messages)

        monkeypatch.setattr(it.queue, "batch_send_messages", first_waits)
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert it.stage(job_id).status == StageStatus.RUNNING


@pytest.mark.usefixtures("impatient")
def test_as_many_batches_as_allowed_are_in_flight_when_waits_are_long() -> None:
    together = threading.Barrier(4)
    with BatchThreads.open(4) as threads:
        batches = []
        for _ in range(12):
            threads.await_turn()
            batches.append(threads.start(lambda: together.wait(SECONDS) >= 0))
        assert all(batch.result() for batch in batches)
        assert threads.at_once == 4


@pytest.mark.usefixtures("impatient")
def test_no_more_batches_than_allowed_are_in_flight() -> None:
    go_on, third = threading.Event(), threading.Event()
    with BatchThreads.open(2) as threads:

        def start(action: threading.Event) -> None:
            threads.await_turn()
            threads.start(lambda: action.wait(SECONDS))
            third.set()

        start(go_on)
        start(go_on)
        third.clear()
        starting = threading.Thread(target=start, args=[go_on])
        starting.start()
        began_early = third.wait(0.05)
        go_on.set()
        assert third.wait(SECONDS)
        starting.join()
    assert not began_early


@pytest.mark.usefixtures("patient")
def test_the_outcome_of_a_batch_is_known_when_the_next_may_start() -> None:
    def fail() -> bool:
        raise RuntimeError("refused")

    with BatchThreads.open(1) as threads:
        for _ in range(50):
            threads.await_turn()
            batch = threads.start(fail)
            threads.await_turn()
            assert batch.done()
            threads.start(lambda: True)


@pytest.mark.usefixtures("patient")
def test_a_dispatch_starts_no_batch_after_one_that_was_refused_while_the_next_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Callable[[], bool]] = []
    second_waits, await_turn, start = threading.Event(), BatchThreads.await_turn, BatchThreads.start

    def noted_turn(threads: BatchThreads) -> None:
        if started:
            second_waits.set()
        await_turn(threads)

    def noted_start(threads: BatchThreads, action: Callable[[], bool]) -> Future[bool]:
        started.append(action)
        return start(threads, action)

    with stand(sample_job(counted(300), protocol=DispatchProtocol.ATOMIC), dispatch_parallel=1) as it:
        send = it.queue.batch_send_messages

        def slow_send(queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
            assert second_waits.wait(SECONDS)
            return send(queue, messages)

        it.submit("sample")
        it.queue.failures.append(QueueUnavailableError("away"))
        monkeypatch.setattr(BatchThreads, "await_turn", noted_turn)
        monkeypatch.setattr(BatchThreads, "start", noted_start)
        monkeypatch.setattr(it.queue, "batch_send_messages", slow_send)
        with pytest.raises(DispatchInterruptedError):
            it.deliver_job_messages()
        assert len(started) == 1
