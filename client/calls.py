"""A request to the app, and how its answer becomes a value or an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from client.errors import (
    BY_STATUS,
    AppFailedError,
    FieldError,
    InvalidArgumentError,
    LockstepError,
    Problem,
    UnexpectedAnswerError,
)

T_co = TypeVar("T_co", covariant=True)

_DAY_SECONDS = 86_400
_LISTS = (list, tuple, set, frozenset)
_PROBLEM_MEMBERS = {"type", "title", "status", "detail", "errors"}


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """One request.

    Attributes:
        path: relative to `/api`.
        read: makes the value of a good answer.
        query: without the parameters that are None; lists become texts with commas.
        body: sent as JSON; None for no body.
        is_repeatable: whether it does no harm to send it again when its answer was lost.
        good: the statuses that are no errors.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T_co]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    is_repeatable: bool = True
    good: frozenset[int] = frozenset({200, 202})

    def value(self, response: httpx.Response) -> T_co:
        """Reads an answer.

        Raises:
            ProblemError: the app answered with an error.
            UnexpectedAnswerError: the answer is none of Lockstep's.
        """
        # A proxy may answer 503, too.
        if response.status_code not in self.good or (response.is_error and not _is_json(response)):
            raise _error(response)
        try:
            return self.read(response)
        except (KeyError, TypeError) as exc:
            raise _unexpected(response) from exc


def query(**parameters: object) -> dict[str, str]:
    """Makes the query of a request, without the parameters that are None.

    Raises:
        InvalidArgumentError: one is empty.
    """
    return {name: _text(value) for name, value in given(**parameters).items()}


def given(**parameters: object) -> dict[str, object]:
    """Returns the parameters that are not None.

    Raises:
        InvalidArgumentError: one is empty. Without it, the request would be about more than the caller named.
    """
    found = {name: value for name, value in parameters.items() if value is not None}
    for name, value in found.items():
        if value == "" or (isinstance(value, _LISTS) and ("" in value or not value)):
            raise InvalidArgumentError(f"{name} is empty; leave it out, or give it a value")
    return found


def path_part(text: str) -> str:
    """Returns a part of a path; a slash in it does not make two of it.

    Raises:
        InvalidArgumentError: it is empty or dots, with which the path would be that of another route.
    """
    if not text.strip("."):
        raise InvalidArgumentError(f"{text!r} is no id and no job type")
    return quote(text, safe="")


def json_of(response: httpx.Response) -> Any:
    """Reads a JSON object.

    Raises:
        UnexpectedAnswerError: it is none, for example the page of a proxy.
    """
    try:
        value = response.json()
    except ValueError as exc:
        raise _unexpected(response) from exc
    if not isinstance(value, dict):
        raise _unexpected(response)
    return value


def retry_after(response: httpx.Response) -> float | None:
    """Reads how many seconds the app asks to wait; None if it does not say, or names a date."""
    text = response.headers.get("Retry-After", "")
    return float(min(int(text), _DAY_SECONDS)) if text.isascii() and text.isdigit() else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _LISTS):
        return ",".join(map(str, value))
    return str(value)


def _is_json(response: httpx.Response) -> bool:
    return bool(response.headers.get("Content-Type", "").startswith("application/json"))


def _unexpected(response: httpx.Response) -> UnexpectedAnswerError:
    kind = response.headers.get("Content-Type", "no type")
    return UnexpectedAnswerError(
        f"{response.url.host} answered {response.status_code} with {kind}, which is no answer of Lockstep: is this the "
        "URL of the app?"
    )


def _error(response: httpx.Response) -> LockstepError:
    if response.is_redirect:
        return UnexpectedAnswerError(f"{response.url.host} redirects to another URL; perhaps it wants https")
    status, document = response.status_code, _document(response)
    problem = Problem(
        status,
        type=str(document.get("type", "about:blank")),
        title=str(document.get("title", response.reason_phrase)),
        detail=str(document.get("detail", f"{response.url.host} answered {status} {response.reason_phrase}")),
        fields=tuple(FieldError(str(each.get("field")), str(each.get("message"))) for each in _errors(document)),
        members={name: value for name, value in document.items() if name not in _PROBLEM_MEMBERS},
        request_id=response.headers.get("x-request-id"),
        retry_after_seconds=retry_after(response),
    )
    return BY_STATUS.get(status, AppFailedError)(problem)


def _errors(document: dict[str, Any]) -> list[dict[str, Any]]:
    listed = document.get("errors")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _document(response: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer; empty if it has none, as when the host refuses a key."""
    if not response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return {}
    document: dict[str, Any] = json_of(response)
    return document
