"""Waiting for what is away."""

import pytest

from core.errors import ConstraintViolationError, DatabaseUnavailableError, LockstepError, QueueUnavailableError
from engine.process.outage_waiter import OutageWaiter
from tests.fakes.clock import FakeClock
from tests.support.drive import patience_by


class Away:
    """Fails until a time."""

    def __init__(self, clock: FakeClock, seconds: float, error: LockstepError) -> None:
        self._clock = clock
        self._began = clock.now().timestamp()
        self._seconds = seconds
        self._error = error
        self.tries: list[float] = []

    def __call__(self) -> str:
        self.tries.append(self._clock.now().timestamp() - self._began)
        if self.tries[-1] < self._seconds:
            raise self._error
        return "done"


@pytest.mark.parametrize("error", [DatabaseUnavailableError("away"), QueueUnavailableError("away")])
def test_what_comes_back_in_time_is_done(error: LockstepError) -> None:
    clock = FakeClock()
    outages = patience_by(clock)
    away = Away(clock, 30, error)
    assert outages.run(away, outages.deadline(50)) == "done"
    assert 30 <= away.tries[-1] <= 35


def test_the_pauses_grow_to_a_limit() -> None:
    clock = FakeClock()
    outages = patience_by(clock)
    away = Away(clock, 12, DatabaseUnavailableError("away"))
    outages.run(away, outages.deadline(50), longest_pause_seconds=2)
    pauses = [later - earlier for earlier, later in zip(away.tries, away.tries[1:], strict=False)]
    assert pauses == [0.25, 0.5, 1, 2, 2, 2, 2, 2, 2]


def test_what_stays_away_is_given_up_at_the_deadline_and_not_before() -> None:
    clock = FakeClock()
    outages = patience_by(clock)
    away = Away(clock, 1_000, DatabaseUnavailableError("away"))
    with pytest.raises(DatabaseUnavailableError):
        outages.run(away, outages.deadline(50))
    assert away.tries[-1] == 50
    assert len(away.tries) < 20


def test_what_does_not_pass_is_raised_at_once() -> None:
    clock = FakeClock()
    outages = patience_by(clock)
    away = Away(clock, 1_000, ConstraintViolationError("no", "pk"))
    with pytest.raises(ConstraintViolationError):
        outages.run(away, outages.deadline(50))
    assert away.tries == [0]


def test_a_process_that_shall_end_waits_no_longer() -> None:
    clock = FakeClock()
    asked: list[float] = []

    def ending(seconds: float) -> bool:
        asked.append(seconds)
        return True

    outages = OutageWaiter(ending, lambda: clock.now().timestamp())
    with pytest.raises(DatabaseUnavailableError):
        outages.run(Away(clock, 1_000, DatabaseUnavailableError("away")), outages.deadline(50))
    assert asked == [0.25]
