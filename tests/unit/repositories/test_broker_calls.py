"""Calls with deadlines, on threads that can be given up."""

import threading
from collections.abc import Callable

import pytest

from core.errors import QueueNotFoundError, QueueTimeoutError, QueueUnavailableError
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls
from tests.support.waiting import wait_until


class Line:
    """A connection whose call hangs until it has been cut several times."""

    def __init__(self, cuts: int = 1) -> None:
        self._left = cuts
        self._ended = threading.Event()
        self.closed_in: list[str] = []

    def hang(self) -> str:
        self._ended.wait(120)
        return "late"

    def cut(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._ended.set()

    def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)


def broken() -> str:
    raise QueueNotFoundError("no queue")


def threads_of(calls: BrokerCalls, count: int) -> set[int]:
    """The threads that run several calls, one after the other."""
    return {calls.run(threading.get_ident, Line(), 120) for _ in range(count)}


@pytest.fixture
def calls() -> BrokerCalls:
    return BrokerCalls(Breaker(most_unanswered=2, most_hanging=3, pause_seconds=600), cut_every_seconds=0.001)


def test_a_call_returns_or_raises_what_its_action_does(calls: BrokerCalls) -> None:
    assert calls.run(lambda: "done", Line(), 120) == "done"
    with pytest.raises(QueueNotFoundError):
        calls.run(broken, Line(), 120)


def test_an_idle_thread_is_used_again(calls: BrokerCalls) -> None:
    assert len(threads_of(calls, 50)) == 1


def test_a_hanging_call_is_given_up_and_cut_until_its_thread_has_closed_the_connection(calls: BrokerCalls) -> None:
    line = Line(cuts=5)
    with pytest.raises(QueueTimeoutError, match=r"within 0\.01 s"):
        calls.run(line.hang, line, 0.01)
    wait_until(lambda: line.closed_in == ["broker"])
    wait_until(lambda: len(calls._idle) == 1)
    assert calls.breaker.hanging == 0
    assert len(threads_of(calls, 5)) == 1


def test_an_action_that_ends_in_time_keeps_its_connection(calls: BrokerCalls) -> None:
    line = Line()
    calls.run(lambda: "done", line, 120)
    assert line.closed_in == []


def test_calls_fail_at_once_while_the_breaker_is_open_and_start_no_thread(calls: BrokerCalls) -> None:
    lines = [Line(cuts=1_000_000) for _ in range(2)]
    for line in lines:
        with pytest.raises(QueueTimeoutError):
            calls.run(line.hang, line, 0.001)
    ran: list[str] = []
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    with pytest.raises(QueueUnavailableError, match="last 2 calls"):
        calls.run(lambda: ran.append("ran"), Line(), 120)
    assert ran == []
    assert set(threading.enumerate()) <= before
    for line in lines:
        line._left = 0
    wait_until(lambda: calls.breaker.hanging == 0)


@pytest.mark.parametrize("action", [lambda: "done", broken])
def test_an_answer_and_an_error_end_the_count_of_unanswered_calls(
    calls: BrokerCalls, action: Callable[[], str]
) -> None:
    for _ in range(3):
        line = Line()
        with pytest.raises(QueueTimeoutError):
            calls.run(line.hang, line, 0.001)
        wait_until(lambda: calls.breaker.hanging == 0)  # no call is admitted while too many hang
        assert len(calls.run_all([(action, Line())], 120)) == (action is broken)
    wait_until(lambda: calls.breaker.hanging == 0)


def test_a_client_that_finds_that_there_is_no_answer_counts_too(calls: BrokerCalls) -> None:
    def in_vain() -> None:
        raise QueueTimeoutError("the client's own limit")

    for _ in range(2):
        with pytest.raises(QueueTimeoutError):
            calls.run(in_vain, Line(), 120)
    with pytest.raises(QueueUnavailableError, match="last 2 calls"):
        calls.run(lambda: "done", Line(), 120)


def test_actions_run_at_the_same_time_and_one_that_is_refused_has_its_connection_cut(calls: BrokerCalls) -> None:
    together = threading.Barrier(3)
    assert calls.run_all([(lambda: together.wait(120), Line()) for _ in range(3)], 120) == []
    line = Line()
    calls.breaker.gave_up(is_trial=False)
    calls.breaker.gave_up(is_trial=False)
    assert [type(error) for error in calls.run_all([(lambda: "done", line)], 120)] == [QueueUnavailableError]
    assert line._ended.is_set()


def test_an_error_of_any_kind_leaves_no_other_action_unwaited(calls: BrokerCalls) -> None:
    def break_down() -> None:
        raise TypeError("a bug of the client")

    errors = calls.run_all([(break_down, Line()), (broken, Line())], 120)
    assert [type(error) for error in errors] == [TypeError, QueueNotFoundError]


def test_a_system_without_threads_fails_the_call_and_no_later_one(
    calls: BrokerCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(QueueUnavailableError, match="no thread"):
            calls.run(lambda: "done", Line(), 120)
    assert calls.breaker.hanging == 0
    assert calls.run(lambda: "done", Line(), 120) == "done"


def test_closing_ends_the_threads(calls: BrokerCalls) -> None:
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    together = threading.Barrier(3)
    calls.run_all([(lambda: together.wait(120), Line()) for _ in range(3)], 120)
    assert len(set(threading.enumerate()) - before) == 3
    calls.close()
    wait_until(lambda: not set(threading.enumerate()) - before)
