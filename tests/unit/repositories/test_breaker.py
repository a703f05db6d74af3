"""When calls to the broker are let through."""

import logging

import pytest

from core.errors import QueueUnavailableError
from repositories.breaker import Breaker


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker(most_unanswered=3, most_hanging=5, pause_seconds=10, clock=time)


def leave_unanswered(breaker: Breaker, count: int, *, hang: bool = False) -> None:
    for _ in range(count):
        breaker.gave_up(is_trial=breaker.admit())
        if not hang:
            breaker.ended()


def is_refused(breaker: Breaker) -> bool:
    try:
        breaker.admit()
    except QueueUnavailableError:
        return True
    return False


def test_calls_are_refused_after_several_in_a_row_without_an_answer(breaker: Breaker) -> None:
    leave_unanswered(breaker, 2)
    breaker.answered()
    leave_unanswered(breaker, 2)
    assert not is_refused(breaker)
    breaker.gave_up(is_trial=False)
    assert is_refused(breaker)


def test_one_trial_at_a_time_is_admitted_and_its_answer_admits_all(breaker: Breaker, time: Time) -> None:
    leave_unanswered(breaker, 3)
    time.seconds = 10
    assert breaker.admit() is True
    time.seconds = 1_000
    assert is_refused(breaker)
    breaker.answered()
    assert breaker.admit() is False


def test_after_an_unanswered_trial_the_next_one_waits_again(breaker: Breaker, time: Time) -> None:
    leave_unanswered(breaker, 3)
    time.seconds = 10
    breaker.gave_up(is_trial=breaker.admit())
    time.seconds = 19
    assert is_refused(breaker)
    time.seconds = 20
    assert breaker.admit() is True


def test_a_late_end_of_another_call_does_not_let_a_second_trial_through(breaker: Breaker, time: Time) -> None:
    earlier = breaker.admit()
    leave_unanswered(breaker, 3)
    time.seconds = 10
    assert breaker.admit() is True
    breaker.gave_up(is_trial=earlier)
    time.seconds = 100
    assert is_refused(breaker)


def test_no_call_is_admitted_while_too_many_hang_and_all_are_when_some_have_ended(breaker: Breaker) -> None:
    for _ in range(5):
        leave_unanswered(breaker, 1, hang=True)
        breaker.answered()
    assert breaker.hanging == 5
    assert is_refused(breaker)
    breaker.ended()
    assert breaker.admit() is False


def test_one_line_is_logged_when_it_opens_and_one_when_it_closes(
    breaker: Breaker, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leave_unanswered(breaker, 3, hang=True)
    time.seconds = 10
    breaker.gave_up(is_trial=breaker.admit())
    breaker.answered()
    breaker.answered()
    opened, closed = [record.getMessage() for record in caplog.records]
    assert "3 calls in a row, and 3 hang" in opened
    assert "after 4 unanswered calls; 4 still hang" in closed
