"""The synchronous and the asynchronous client of azure-servicebus behind one interface: every test uses both."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from inspect import isawaitable
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from azure.servicebus import AutoLockRenewer, ServiceBusClient, aio

_CALL_SECONDS = 60
_END = object()

T = TypeVar("T")


@dataclass(frozen=True)
class Sdk:
    """One of the two clients, connected; `new_renewer` has the arguments of its AutoLockRenewer."""

    client: ServiceBusClient
    new_renewer: Callable[..., AutoLockRenewer]


class Connect(Protocol):
    """Opens one of the two clients, with any options of the client."""

    def __call__(self, connection_string: str, **options: Any) -> AbstractContextManager[Sdk]: ...


@contextmanager
def synchronous(connection_string: str, **options: Any) -> Iterator[Sdk]:
    with ServiceBusClient.from_connection_string(connection_string, **options) as client:
        yield Sdk(client, AutoLockRenewer)


@contextmanager
def asynchronous(connection_string: str, **options: Any) -> Iterator[Sdk]:
    with _BackgroundLoop() as loop:
        blocking = _Blocking(aio.ServiceBusClient.from_connection_string(connection_string, **options), loop)
        with blocking:
            # The casts are valid where the two clients have the same methods, which every test checks by its calls.
            client = cast(ServiceBusClient, blocking)
            yield Sdk(client, lambda **options: cast(AutoLockRenewer, loop.create(aio.AutoLockRenewer, **options)))


class _BackgroundLoop:
    """An event loop in its own thread; tasks that still run at its end are an error."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = self.run(_other_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert not left

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs `coroutine` and returns its result; fails after a minute."""
        return asyncio.run_coroutine_threadsafe(_within_limit(coroutine), self._loop).result()

    def create(self, kind: Callable[..., object], **options: Any) -> "_Blocking":
        """Creates an object of the asynchronous client, which must be created inside the loop."""
        return _Blocking(self.run(_finished(kind, **options)), self)


class _Blocking:
    """Wraps an object of the asynchronous client so that it is used like the synchronous one: calls block."""

    def __init__(self, wrapped: Any, loop: _BackgroundLoop) -> None:
        self._wrapped = wrapped
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._wrapped, name)
        if not callable(attribute):
            return self._blocking(attribute)

        def call(*args: Any, **options: Any) -> Any:
            plain = {key: _plain(value) for key, value in options.items()}
            return self._blocking(self._loop.run(_finished(attribute, *map(_plain, args), **plain)))

        return call

    def __iter__(self) -> Iterator[Any]:
        iterator = aiter(self._wrapped)
        try:
            while (item := self._loop.run(_finished(anext, iterator, _END))) is not _END:
                yield item
        finally:
            self._loop.run(iterator.aclose())

    def __enter__(self) -> Self:
        self._loop.run(self._wrapped.__aenter__())
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.run(self._wrapped.__aexit__(*raised))

    def _blocking(self, value: Any) -> Any:
        return _Blocking(value, self._loop) if type(value).__module__.startswith(aio.__name__) else value


def _plain(value: Any) -> Any:
    return value._wrapped if isinstance(value, _Blocking) else value


async def _finished(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Calls `function` inside the loop, which the client requires even for methods that are not coroutines."""
    result = function(*args, **options)
    return await result if isawaitable(result) else result


async def _within_limit(coroutine: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(_CALL_SECONDS):
        return await coroutine


async def _other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {cast(asyncio.Task[Any], asyncio.current_task())}
