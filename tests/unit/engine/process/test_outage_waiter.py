"""Waiting for the end of an outage."""

import pytest

from core.errors import ConstraintViolationError, DatabaseUnavailableError, LockstepError, QueueUnavailableError
from engine.process.outage_waiter import OutageWaiter
from tests.fakes.clock import FakeClock
from tests.support.drive import waiter_by


class Outage:
    """An action that fails until the outage is over."""

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
def test_an_action_succeeds_when_the_outage_ends_in_time(error: LockstepError) -> None:
    clock = FakeClock()
    outages = waiter_by(clock)
    outage = Outage(clock, 30, error)
    assert outages.run(outage, outages.deadline(50)) == "done"
    assert 30 <= outage.tries[-1] <= 35


def test_the_pauses_grow_to_a_limit() -> None:
    clock = FakeClock()
    outages = waiter_by(clock)
    outage = Outage(clock, 12, DatabaseUnavailableError("away"))
    outages.run(outage, outages.deadline(50), longest_pause_seconds=2)
    pauses = [later - earlier for earlier, later in zip(outage.tries, outage.tries[1:], strict=False)]
    assert pauses == [0.25, 0.5, 1, 2, 2, 2, 2, 2, 2]


def test_an_outage_is_given_up_at_the_deadline_and_not_before() -> None:
    clock = FakeClock()
    outages = waiter_by(clock)
    outage = Outage(clock, 1_000, DatabaseUnavailableError("away"))
    with pytest.raises(DatabaseUnavailableError):
        outages.run(outage, outages.deadline(50))
    assert outage.tries[-1] == 50
    assert len(outage.tries) < 20


def test_a_permanent_error_is_raised_at_once() -> None:
    clock = FakeClock()
    outages = waiter_by(clock)
    outage = Outage(clock, 1_000, ConstraintViolationError("no", "pk"))
    with pytest.raises(ConstraintViolationError):
        outages.run(outage, outages.deadline(50))
    assert outage.tries == [0]


def test_a_process_that_shuts_down_waits_no_longer() -> None:
    clock = FakeClock()
    asked: list[float] = []

    def ending(seconds: float) -> bool:
        asked.append(seconds)
        return True

    outages = OutageWaiter(ending, lambda: clock.now().timestamp())
    with pytest.raises(DatabaseUnavailableError):
        outages.run(Outage(clock, 1_000, DatabaseUnavailableError("away")), outages.deadline(50))
    assert asked == [0.25]


def test_it_tells_what_it_waits_for_until_the_wait_has_ended() -> None:
    clock = FakeClock()
    outages = waiter_by(clock)
    seen: list[dict[str, float]] = []
    errors: list[LockstepError] = [DatabaseUnavailableError("away"), QueueUnavailableError("away")]

    def act() -> None:
        seen.append(outages.waits())
        if errors:
            raise errors.pop()

    outages.run(act, outages.deadline(50))
    assert seen == [{}, {"QueueUnavailableError": 0.25}, {"DatabaseUnavailableError": 0.5}]
    assert outages.waits() == {}


def test_it_waits_for_nothing_once_it_has_given_up() -> None:
    clock = FakeClock()
    outages = waiter_by(clock)
    for error in (DatabaseUnavailableError("away"), ConstraintViolationError("no", "pk")):
        with pytest.raises(type(error)):
            outages.run(Outage(clock, 1_000, error), outages.deadline(50))
        assert outages.waits() == {}


def test_what_several_threads_wait_for_is_told_until_the_last_one_has_ended() -> None:
    """Here one wait is inside another, and its waiter goes on during a shutdown."""
    clock = FakeClock()
    outages = waiter_by(clock)
    inner = outages.through_shutdown()
    seen: list[dict[str, float]] = []
    tries = iter((True, False))

    def outer() -> None:
        clock.advance(5)
        if next(tries):
            raise DatabaseUnavailableError("away")
        inner.run(Outage(clock, 1, DatabaseUnavailableError("away")), inner.deadline(50))
        seen.append(outages.waits())

    outages.run(outer, outages.deadline(50))
    assert seen == [{"DatabaseUnavailableError": 6.25 + 0.75}]
    assert outages.waits() == {}
