"""What can go wrong with a request: one tree, whose texts contain neither the key nor the URL's query."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class LockstepError(Exception):
    """The root of what this client raises."""


class InvalidArgumentError(LockstepError, ValueError):
    """An argument cannot be sent: it is empty, or it is a URL or a key, which the text does not show."""


class NotReachableError(LockstepError):
    """The app cannot be reached: no connection, or no answer in time."""


class UnexpectedAnswerError(LockstepError):
    """The answer is none of Lockstep's; the URL may be that of another service."""


class WatchTimeoutError(LockstepError):
    """A job did not end in time. It runs on."""


@dataclass(frozen=True)
class FieldError:
    """One error of the input: the field (a dotted path) and what is wrong with it."""

    field: str
    message: str


@dataclass(frozen=True)
class Problem:
    """A problem document (RFC 9457); docs/problems.md lists the types.

    Attributes:
        type: stable, for programs, such as `urn:lockstep:problem:no-such-job`; `about:blank` if there is no document.
        members: the further members, such as `job_id`.
        retry_after_seconds: how long the app asks to wait; None if it does not.
    """

    status: int
    type: str
    title: str
    detail: str
    fields: tuple[FieldError, ...] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    retry_after_seconds: float | None = None


class ProblemError(LockstepError):
    """The app answered with an error.

    Attributes:
        problem: the document.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem

    @property
    def type(self) -> str:
        """The type of the problem."""
        return self.problem.type

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def detail(self) -> str:
        """What happened, for people."""
        return self.problem.detail

    @property
    def fields(self) -> tuple[FieldError, ...]:
        """The fields that are not valid."""
        return self.problem.fields


class InvalidInputError(ProblemError):
    """400 or 413: the request is not valid. The same request fails again."""


class KeyRefusedError(ProblemError):
    """401 or 403: the key is missing, wrong, or not allowed to do this."""


class NotFoundError(ProblemError):
    """404: there is no such job, task, job type, dead letter or action."""


class ConflictError(ProblemError):
    """409: what is there does not allow the request, such as the status of a job."""


class UnavailableError(ProblemError):
    """429, 502, 503 or 504: the same request may succeed later."""


class AppFailedError(ProblemError):
    """Another status: the app failed; its log has the details under `problem.request_id`."""


BY_STATUS: Mapping[int, type[ProblemError]] = {
    400: InvalidInputError,
    413: InvalidInputError,
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: NotFoundError,
    409: ConflictError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
"""The error of a status; `AppFailedError` for the others."""
