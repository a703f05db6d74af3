import pytest

from core.errors import DatabaseUnavailableError, LockstepError, LockTimeoutError, TransactionConflictError
from repositories.ports import UnitOfWork
from repositories.transactions import transact
from tests.fakes.database import FakeDatabase

JOB = "f" * 32


class Loses:
    """An action that writes a job. Its transaction fails a number of times before it succeeds."""

    def __init__(self, error: LockstepError, times: int) -> None:
        self._error = error
        self._left = times

    def __call__(self, work: UnitOfWork) -> bool:
        created = work.jobs.create(JOB, "sample", "{}", 1)
        if self._left:
            self._left -= 1
            raise self._error
        return created


def test_a_lost_conflict_is_rolled_back_and_tried_again() -> None:
    assert transact(FakeDatabase(), Loses(TransactionConflictError("deadlock"), 4))


def test_the_fifth_lost_conflict_is_raised() -> None:
    database = FakeDatabase()
    with pytest.raises(TransactionConflictError):
        transact(database, Loses(TransactionConflictError("deadlock"), 5))
    with database.transaction() as work:
        assert work.jobs.get(JOB) is None


def test_another_error_is_raised_at_once() -> None:
    with pytest.raises(DatabaseUnavailableError):
        transact(FakeDatabase(), Loses(DatabaseUnavailableError("away"), 1))


def test_a_lock_that_is_not_free_in_time_is_not_waited_for_again_and_again() -> None:
    waits = iter([0.0, 5.0])
    with pytest.raises(LockTimeoutError):
        transact(FakeDatabase(), Loses(LockTimeoutError("locked"), 1), clock=lambda: next(waits))


def test_a_short_wait_for_a_lock_is_repeated_like_any_conflict() -> None:
    waits = iter([0.0, 0.5])
    assert transact(FakeDatabase(), Loses(LockTimeoutError("locked"), 1), clock=lambda: next(waits))
