import inspect

import pytest

from core import errors
from core.errors import LockstepError

RETRYABLE = {
    "DatabaseUnavailableError",
    "PoolTimeoutError",
    "SchemaBehindError",
    "StatementTimeoutError",
    "LockTimeoutError",
    "MigrationBlockedError",
    "TransactionConflictError",
    "QueueTimeoutError",
    "QueueUnavailableError",
    "DispatchInterruptedError",
    "ShutdownError",
}

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_every_error_is_of_the_one_tree_and_says_what_it_means(error: type[Exception]) -> None:
    assert issubclass(error, LockstepError)
    assert error.__doc__


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_only_what_may_pass_by_itself_is_retryable(error: type[LockstepError]) -> None:
    assert error.retryable == (error.__name__ in RETRYABLE)


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_the_engine_waits_out_what_may_pass_by_itself_and_what_an_operator_mends(error: type[LockstepError]) -> None:
    mended = {"DatabaseError", "QueueError", "QueueNotFoundError", "EngineFaultError"}
    assert error.waited_out == (error.__name__ in RETRYABLE | mended)


def test_errors_carry_their_data() -> None:
    unknown = errors.UnknownJobTypeError("nope", ["a", "b"])
    assert (unknown.job_type, unknown.known) == ("nope", ("a", "b"))
    assert str(unknown) == "unknown job type 'nope'; known are a, b"
    field = errors.FieldError("n", "must be positive")
    assert errors.InvalidInputError("no", [field]).errors == (field,)
    assert errors.JobNotFoundError("x").job_id == "x"
    assert errors.ConstraintViolationError("no", "tasks_pkey").constraint == "tasks_pkey"
