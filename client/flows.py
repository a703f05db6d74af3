"""What takes several requests, written once for both clients: repeats, pages, and what is followed.

A flow is a generator: it yields `Send` and gets the answer, yields `Pause`, and yields `Emit` for each value. A lost
connection is thrown into it as NotReachableError.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from client.calls import Call
from client.errors import LockstepError, NotReachableError, UnavailableError
from client.pages import Page

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True)
class Send:
    """Asks for the answer to a request."""

    call: Call[Any]


@dataclass(frozen=True)
class Pause:
    """Asks to wait; `reason` is the error after which a request is repeated."""

    seconds: float
    reason: LockstepError | None = None


@dataclass(frozen=True)
class Emit(Generic[T]):
    """A value for the caller."""

    value: T


Flow = Generator[Send | Pause | Emit[T], Any, None]
Part = Generator[Send | Pause, Any, T]
"""A part of a flow, which emits nothing and returns a value."""


def pauses() -> Iterator[float]:
    """How long to wait before each repetition: 0.5 s, twice as long each time, at most 10 s."""
    seconds = _FIRST_PAUSE_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * 2, _LONGEST_PAUSE_SECONDS)


def answered(call: Call[T], repeat_seconds: float) -> Part[T]:
    """Sends a request, and again while the app is unavailable, until it would have waited longer than this.

    A request that is not repeatable is sent once: its answer may have been lost after it had its effect.
    """
    waited = 0.0
    for pause in pauses():
        try:
            response: httpx.Response = yield Send(call)
            return call.value(response)
        except (NotReachableError, UnavailableError) as exc:
            asked = exc.problem.retry_after_seconds if isinstance(exc, UnavailableError) else None
            seconds = asked or pause
            if not call.is_repeatable or waited + seconds > repeat_seconds:
                raise
            reason = exc
        waited += seconds
        yield Pause(seconds, reason)
    raise AssertionError  # `pauses` has no end


def one(call: Call[T], repeat_seconds: float) -> Flow[T]:
    """Emits the answer to one request."""
    yield Emit((yield from answered(call, repeat_seconds)))


def every(page: Callable[[Any], Call[Page[T]]], repeat_seconds: float) -> Flow[T]:
    """Emits the rows of all pages; `page` makes the request for the page after `next`, None for the first one."""
    following = None
    while True:
        rows = yield from answered(page(following), repeat_seconds)
        for row in rows.rows:
            yield Emit(row)
        following = rows.next
        if following is None:
            return
