"""A client of Lockstep's API, synchronous and asynchronous."""

from client.answers import JOB_ENDS
from client.async_lockstep import AsyncLockstep
from client.errors import (
    AppFailedError,
    ConflictError,
    FieldError,
    InvalidArgumentError,
    InvalidInputError,
    KeyRefusedError,
    LockstepError,
    NotFoundError,
    NotReachableError,
    Problem,
    ProblemError,
    UnavailableError,
    UnexpectedAnswerError,
    WatchTimeoutError,
)
from client.filters import JobFilter
from client.lockstep import Lockstep

__all__ = [
    "JOB_ENDS",
    "AppFailedError",
    "AsyncLockstep",
    "ConflictError",
    "FieldError",
    "InvalidArgumentError",
    "InvalidInputError",
    "JobFilter",
    "KeyRefusedError",
    "Lockstep",
    "LockstepError",
    "NotFoundError",
    "NotReachableError",
    "Problem",
    "ProblemError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "WatchTimeoutError",
]
