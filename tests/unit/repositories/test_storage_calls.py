"""When a storage account counts as silent."""

import threading
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest

from core.errors import QueueTimeoutError
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls, Call
from repositories.storage_calls import StorageCalls
from tests.support.waiting import LONG_SECONDS, wait_until

SECONDS = LONG_SECONDS


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(most_unanswered=2, most_hanging=100, pause_seconds=0.0)


@pytest.fixture
def calls(breaker: Breaker) -> Iterator[StorageCalls]:
    with closing(StorageCalls(BrokerCalls(breaker))) as calls:
        yield calls


class Account:
    """Answers the first calls, and the others once it may.

    Attributes:
        unanswered: how many calls wait for their answers.
    """

    def __init__(self, first: int) -> None:
        self.may_answer = threading.Event()
        self.unanswered = 0
        self._first = first
        self._lock = threading.Lock()

    def __call__(self, number: int) -> None:
        if number >= self._first:
            with self._lock:
                self.unanswered += 1
            self.may_answer.wait(SECONDS)

    def ends(self, unanswered: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Has the deadline of calls be over once so many are without an answer: those before them have had theirs."""

        def wait(call: Call[object]) -> bool:
            wait_until(lambda: self.unanswered == unanswered)
            return call.is_ended.is_set()

        monkeypatch.setattr(Call, "wait", wait)


@pytest.mark.parametrize("first", [5, 0])
def test_an_account_is_silent_only_if_it_answers_none_of_many_calls(
    calls: StorageCalls, breaker: Breaker, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    account = Account(first)
    account.ends(10, monkeypatch)  # as many as are made at a time
    with pytest.raises(QueueTimeoutError, match=f"answered {first} of 100 calls"):
        calls.for_each(range(100), account, SECONDS)
    assert breaker.is_open == (not first)
    assert breaker.hanging
    account.may_answer.set()
    wait_until(lambda: not breaker.hanging)


def test_one_answer_to_a_trial_of_many_calls_is_enough(
    calls: StorageCalls, breaker: Breaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        breaker.gave_up(is_trial=False)
        breaker.ended()
    assert breaker.is_open
    account = Account(1)
    account.ends(1, monkeypatch)  # the trial makes one call at a time
    with pytest.raises(QueueTimeoutError, match="answered 1 of 100 calls"):
        calls.for_each(range(100), account, SECONDS)
    assert not breaker.is_open
    account.may_answer.set()
    wait_until(lambda: not breaker.hanging)


def test_no_call_begins_shortly_before_the_deadline(calls: StorageCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that those that were begun may end in time. Each takes a second here, by a clock that nothing else moves."""
    lock, begun_at = threading.Lock(), [0.0]
    monkeypatch.setattr("repositories.storage_calls.time", SimpleNamespace(monotonic=lambda: begun_at[-1]))

    def call(_: int) -> None:
        with lock:
            begun_at.append(begun_at[-1] + 1)

    with pytest.raises(QueueTimeoutError, match="of 1000 calls"):
        calls.for_each(range(1_000), call, 100.0)
    assert 90 <= begun_at[-1] < 100
