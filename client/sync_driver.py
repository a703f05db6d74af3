"""Runs flows with a client of httpx that waits."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from client import connection
from client.calls import Call
from client.errors import LockstepError, NotReachableError, UnexpectedAnswerError
from client.flows import Emit, Flow, Pause, one

T = TypeVar("T")


class SyncDriver:
    """The connection to an app.

    Args:
        url: of the app, with or without `/api`.
        key: a function or host key; None if the app needs none.
        timeout_seconds: for an answer.
        repeat_seconds: for how long a request is repeated while the app is unavailable.
        transport: in place of the network, for tests.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        repeat_seconds: float = 5.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = connection.base_url(url)
        self.repeat_seconds = repeat_seconds
        self.on_repeat: Callable[[LockstepError], None] = lambda _: None
        """Called with the reason before a request is repeated."""
        options = connection.client_options(self.url, key, timeout_seconds)
        self._http = httpx.Client(transport=transport, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Returns the answer to one request.

        Raises:
            LockstepError: as `client.errors` says.
        """
        (value,) = self.run(one(call, self.repeat_seconds))
        return value

    def run(self, flow: Flow[T]) -> Iterator[T]:
        """Yields what a flow emits."""
        step = next(flow, None)
        while step is not None:
            answer = None
            if isinstance(step, Emit):
                yield step.value
            elif isinstance(step, Pause):
                if step.reason is not None:
                    self.on_repeat(step.reason)
                time.sleep(step.seconds)
            else:
                try:
                    answer = self._answer(step.call)
                except NotReachableError as exc:
                    step = flow.throw(exc)
                    continue
            try:
                step = flow.send(answer)
            except StopIteration:
                return

    def _answer(self, call: Call[Any]) -> httpx.Response:
        try:
            return self._http.request(**connection.request_options(call))
        except httpx.TransportError as exc:
            raise NotReachableError(connection.not_reachable(self.url, exc)) from exc
        except httpx.HTTPError as exc:
            raise UnexpectedAnswerError(f"{self.url} gave an answer that cannot be read: {exc}") from exc
