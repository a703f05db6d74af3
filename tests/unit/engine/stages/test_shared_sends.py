"""Envelopes that are ready together travel in one send; each batch still succeeds or fails as one."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from core.errors import QueueUnavailableError
from core.messages import OutgoingMessage
from engine.stages import shared_sends
from engine.stages.shared_sends import MOST_TOGETHER, SharedSends
from repositories.ports import SendResult
from tests.support.waiting import LONG_SECONDS

SECONDS = LONG_SECONDS
QUEUE = "sb-batches"
SENT = SendResult(success=True, sent=1)


class HeldSends:
    """Holds each send until it is told how the send ends.

    Attributes:
        ids: the message ids of each send, in the order in which they began.
    """

    def __init__(self) -> None:
        self.ids: list[list[str]] = []
        self._began = threading.Semaphore(0)
        self._ends: list[Future[SendResult]] = []
        self._lock = threading.Lock()

    def __call__(self, messages: Sequence[OutgoingMessage]) -> SendResult:
        end: Future[SendResult] = Future()
        with self._lock:
            self.ids.append(sorted(message.message_id for message in messages))
            self._ends.append(end)
        self._began.release()
        return end.result(SECONDS)

    def await_next(self) -> Callable[[SendResult | Exception], None]:
        """Waits until one more send has begun; returns what ends the last one."""
        assert self._began.acquire(timeout=SECONDS)
        end = self._ends[-1]
        return lambda outcome: end.set_exception(outcome) if isinstance(outcome, Exception) else end.set_result(outcome)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MOST_TOGETHER + 2) as executor:
        yield executor


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No send takes long."""
    monkeypatch.setattr(shared_sends, "LONG_WAIT_SECONDS", SECONDS)


class Batches:
    """Sends single envelopes on threads."""

    def __init__(self, threads: ThreadPoolExecutor, sends: HeldSends) -> None:
        self._threads = threads
        self._shared = SharedSends(sends)

    def send(self, *ids: str) -> list[Future[SendResult]]:
        """Returns when all of these are being sent or wait."""
        before = self._shared.waiting
        futures = [self._threads.submit(self._shared.send, OutgoingMessage(b"", each)) for each in ids]
        if before or len(ids) > 1:
            with self._shared.is_changed:
                assert self._shared.is_changed.wait_for(lambda: self._shared.waiting == before + len(ids), SECONDS)
        return futures


@pytest.mark.usefixtures("patient")
def test_envelopes_that_wait_for_a_send_travel_together_in_the_next(threads: ThreadPoolExecutor) -> None:
    sends = HeldSends()
    batches = Batches(threads, sends)
    first = batches.send("a")
    end = sends.await_next()
    others = batches.send("b", "c", "d")
    end(SENT)
    sends.await_next()(SENT)
    assert all(future.result(SECONDS).success for future in first + others)
    assert sends.ids == [["a"], ["b", "c", "d"]]


@pytest.mark.usefixtures("patient")
def test_a_send_that_fails_fails_each_of_its_batches_and_no_other(threads: ThreadPoolExecutor) -> None:
    sends = HeldSends()
    batches = Batches(threads, sends)
    first = batches.send("a")
    end = sends.await_next()
    others = batches.send("b", "c")
    end(SENT)
    refused = SendResult(success=False, sent=0, error=QueueUnavailableError("busy"))
    sends.await_next()(refused)
    assert [future.result(SECONDS) for future in first + others] == [SENT, refused, refused]


@pytest.mark.usefixtures("patient")
def test_an_error_of_a_send_is_raised_for_each_of_its_batches(threads: ThreadPoolExecutor) -> None:
    sends = HeldSends()
    batches = Batches(threads, sends)
    batches.send("a")
    end = sends.await_next()
    others = batches.send("b", "c")
    end(SENT)
    sends.await_next()(RuntimeError("a fault"))
    assert [str(future.exception(SECONDS)) for future in others] == ["a fault", "a fault"]
    later = batches.send("d")
    sends.await_next()(SENT)
    assert later[0].result(SECONDS) == SENT


def test_an_envelope_does_not_wait_for_a_long_send(threads: ThreadPoolExecutor) -> None:
    sends = HeldSends()
    batches = Batches(threads, sends)
    first = batches.send("a")
    end_first = sends.await_next()
    second = threads.submit(batches._shared.send, OutgoingMessage(b"", "b"))
    sends.await_next()(SENT)
    assert second.result(SECONDS) == SENT
    end_first(SENT)
    assert first[0].result(SECONDS) == SENT


@pytest.mark.usefixtures("patient")
def test_no_more_envelopes_travel_together_than_a_send_may_have(threads: ThreadPoolExecutor) -> None:
    sends = HeldSends()
    batches = Batches(threads, sends)
    first = batches.send("a")
    end = sends.await_next()
    others = batches.send(*(f"b{number:03}" for number in range(MOST_TOGETHER + 1)))
    end(SENT)
    sends.await_next()(SENT)
    sends.await_next()(SENT)
    assert all(future.result(SECONDS).success for future in first + others)
    assert [len(ids) for ids in sends.ids] == [1, MOST_TOGETHER, 1]
