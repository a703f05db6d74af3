"""Runs flows with the asynchronous client of httpx."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from client import connection
from client.calls import Call
from client.errors import LockstepError, NotReachableError, UnexpectedAnswerError
from client.flows import Emit, Flow, Pause, one

T = TypeVar("T")


class AsyncDriver:
    """The connection to an app; its arguments are those of `SyncDriver`."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        repeat_seconds: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = connection.base_url(url)
        self.repeat_seconds = repeat_seconds
        self.on_repeat: Callable[[LockstepError], None] = lambda _: None
        """Called with the reason before a request is repeated."""
        options = connection.client_options(self.url, key, timeout_seconds)
        self._http = httpx.AsyncClient(transport=transport, **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Returns the answer to one request.

        Raises:
            LockstepError: as `client.errors` says.
        """
        (value,) = [each async for each in self.run(one(call, self.repeat_seconds))]
        return value

    async def run(self, flow: Flow[T]) -> AsyncIterator[T]:
        """Yields what a flow emits."""
        step = next(flow, None)
        while step is not None:
            answer = None
            if isinstance(step, Emit):
                yield step.value
            elif isinstance(step, Pause):
                if step.reason is not None:
                    self.on_repeat(step.reason)
                await asyncio.sleep(step.seconds)
            else:
                try:
                    answer = await self._answer(step.call)
                except NotReachableError as exc:
                    step = flow.throw(exc)
                    continue
            try:
                step = flow.send(answer)
            except StopIteration:
                return

    async def _answer(self, call: Call[Any]) -> httpx.Response:
        try:
            return await self._http.request(**connection.request_options(call))
        except httpx.TransportError as exc:
            raise NotReachableError(connection.not_reachable(self.url, exc)) from exc
        except httpx.HTTPError as exc:
            raise UnexpectedAnswerError(f"{self.url} gave an answer that cannot be read: {exc}") from exc
