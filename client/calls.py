"""A request to the app, and how its answer becomes a value or an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

from client.errors import BY_STATUS, AppFailedError, FieldError, Problem, ProblemError, UnexpectedAnswerError

T_co = TypeVar("T_co", covariant=True)

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
        if response.status_code in self.good:
            return self.read(response)
        raise _error(response)


def query(**parameters: object) -> dict[str, str]:
    """Makes the query of a request, without the parameters that are None or empty."""
    return {name: _text(value) for name, value in parameters.items() if value is not None and value not in ("", ())}


def json_of(response: httpx.Response) -> Any:
    """Reads a JSON answer.

    Raises:
        UnexpectedAnswerError: it is not JSON, for example the page of a proxy.
    """
    try:
        return response.json()
    except ValueError as exc:
        kind = response.headers.get("Content-Type", "no type")
        raise UnexpectedAnswerError(
            f"{response.url.host} answered {response.status_code} with {kind}, which is no answer of Lockstep: is this "
            "the URL of the app?"
        ) from exc


def retry_after(response: httpx.Response) -> float | None:
    """Reads how many seconds the app asks to wait; None if it does not say, or names a date."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(map(str, value))
    return str(value)


def _error(response: httpx.Response) -> ProblemError:
    status, document = response.status_code, _document(response)
    problem = Problem(
        status,
        type=str(document.get("type", "about:blank")),
        title=str(document.get("title", response.reason_phrase)),
        detail=str(document.get("detail", f"{response.url.host} answered {status} {response.reason_phrase}")),
        fields=tuple(FieldError(str(each["field"]), str(each["message"])) for each in document.get("errors", ())),
        members={name: value for name, value in document.items() if name not in _PROBLEM_MEMBERS},
        request_id=response.headers.get("x-request-id"),
        retry_after_seconds=retry_after(response),
    )
    return BY_STATUS.get(status, AppFailedError)(problem)


def _document(response: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer; empty if it has none, as when the host refuses a key."""
    if not response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return {}
    document = json_of(response)
    return document if isinstance(document, dict) else {}
