"""Errors as RFC 9457 problem documents."""

import functools
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import azure.functions as func

from api.request_ids import identified
from core.errors import (
    ActionNotFoundError,
    DeadLetterNotFoundError,
    DeadLetterStateError,
    ExclusiveJobError,
    IdempotencyConflictError,
    InvalidInputError,
    JobNotFoundError,
    JobStateError,
    LockstepError,
    PayloadTooLargeError,
    TaskNotFoundError,
    UnknownJobTypeError,
    UnreachableError,
)
from core.redaction import Redaction

logger = logging.getLogger(__name__)

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]

_TYPES = "urn:lockstep:problem:"

_REDACTION = Redaction()
_RETRY_AFTER_SECONDS = "5"
_NO_DETAILS = "The app failed on this request; its logs have the details."


def problem(status: int, title: str, detail: str, **extensions: Any) -> func.HttpResponse:
    """Returns a problem document without the secrets of URLs.

    Its type follows from the title, and has a section in docs/problems.md; `extensions` are its further members.
    """
    body = {
        "type": _TYPES + title.lower().replace(" ", "-"),
        "title": title,
        "status": status,
        "detail": detail,
        **extensions,
    }
    headers = {"Retry-After": _RETRY_AFTER_SECONDS} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    text = json.dumps(_REDACTION.json(body))
    return func.HttpResponse(text, status_code=status, mimetype="application/problem+json", headers=headers)


def answers_problems(function: HttpFunction) -> HttpFunction:
    """Turns the errors of a function into problem documents; an unexpected error becomes a 500 without details.

    The answer has the id of its request.
    """

    def answered(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return function(req)
        except LockstepError as exc:
            return _from_error(exc)
        except Exception:
            logger.exception("%s %s failed", req.method, function.__name__)
            return problem(500, "Internal error", _NO_DETAILS)

    @functools.wraps(function)
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        return identified(req, function.__name__, answered(req))

    return answer


def _from_error(exc: LockstepError) -> func.HttpResponse:
    match exc:
        case PayloadTooLargeError():
            return problem(413, "Payload too large", str(exc), limit_bytes=exc.limit_bytes)
        case InvalidInputError():
            errors = [{"field": error.field, "message": error.message} for error in exc.errors]
            return problem(400, "Invalid input", str(exc), errors=errors)
        case (
            UnknownJobTypeError()
            | JobNotFoundError()
            | TaskNotFoundError()
            | DeadLetterNotFoundError()
            | ActionNotFoundError()
        ):
            return _missing(exc)
        case JobStateError() | IdempotencyConflictError() | ExclusiveJobError() | DeadLetterStateError():
            return _conflict(exc)
        case _:
            return _our_fault(exc)


def _missing(
    exc: UnknownJobTypeError | JobNotFoundError | TaskNotFoundError | DeadLetterNotFoundError | ActionNotFoundError,
) -> func.HttpResponse:
    if isinstance(exc, UnknownJobTypeError):
        return problem(404, "Unknown job type", str(exc), known_job_types=exc.known)
    if isinstance(exc, JobNotFoundError):
        return problem(404, "No such job", str(exc), job_id=exc.job_id)
    if isinstance(exc, TaskNotFoundError):
        return problem(404, "No such task", str(exc), job_id=exc.job_id)
    return problem(404, "No such action" if isinstance(exc, ActionNotFoundError) else "No such dead letter", str(exc))


def _conflict(
    exc: JobStateError | IdempotencyConflictError | ExclusiveJobError | DeadLetterStateError,
) -> func.HttpResponse:
    if isinstance(exc, DeadLetterStateError):
        about = {"dead_letter_id": exc.dead_letter_id, "dead_letter_state": exc.state}
        return problem(409, "Not in this state", str(exc), **about)
    if isinstance(exc, JobStateError):
        return problem(409, "Not in this status", str(exc), job_id=exc.job_id, job_status=exc.status)
    if isinstance(exc, ExclusiveJobError):
        holder = {} if exc.holder is None else {"job_id": exc.holder}
        return problem(409, "Exclusive job", str(exc), **holder)
    # Without the id of the job that has the key: it may be another client's.
    return problem(409, "Idempotency key in use", str(exc))


def _our_fault(exc: LockstepError) -> func.HttpResponse:
    if isinstance(exc, UnreachableError):  # what a job type looks at
        return problem(503, "Temporarily unavailable", str(exc))
    if exc.waited_out:
        logger.warning("a request failed because the database or the broker is unavailable: %s", exc)
        return problem(503, "Temporarily unavailable", "The database or the broker is unavailable; please try again.")
    logger.error("a request failed: %s", exc, exc_info=exc)
    return problem(500, "Internal error", _NO_DETAILS)
