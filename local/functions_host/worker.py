"""Runs functions in a worker process: sync ones in a thread pool, async ones on an event loop."""

import asyncio
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.functions_host.context import InvocationContext
from local.functions_host.converting import to_argument, to_http_response
from local.functions_host.errors import AppLoadError
from local.functions_host.indexing import LoadedFunction
from local.functions_host.protocol import Channel, Completed, Invoke, Stop

logger = logging.getLogger(__name__)


class Worker:
    """Runs the invocations that arrive on the channel until the host sends Stop.

    Raises:
        AppLoadError: PYTHON_THREADPOOL_THREAD_COUNT is not a positive number.
    """

    def __init__(self, channel: Channel, functions: dict[str, LoadedFunction], app_dir: Path) -> None:
        self._channel = channel
        self._functions = functions
        self._app_dir = app_dir
        self._executor = ThreadPoolExecutor(_thread_count(), thread_name_prefix="function")
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run invocations until the host sends Stop; if the host dies, exit the process at once."""
        stopped = asyncio.Event()
        reader = threading.Thread(target=self._read, args=(asyncio.get_running_loop(), stopped), daemon=True)
        reader.start()
        await stopped.wait()
        self._executor.shutdown()

    def _read(self, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
        while True:
            try:
                message = self._channel.receive()
            except EOFError:
                os._exit(1)  # the host has died: no result can be reported, and no process may survive it
            if isinstance(message, Stop):
                loop.call_soon_threadsafe(stopped.set)
                return
            if isinstance(message, Invoke):
                self._start(loop, message)

    def _start(self, loop: asyncio.AbstractEventLoop, invoke: Invoke) -> None:
        if self._functions[invoke.function].is_async:
            loop.call_soon_threadsafe(self._start_task, invoke)
        else:
            self._executor.submit(self._run_sync, invoke)

    def _start_task(self, invoke: Invoke) -> None:
        task = asyncio.get_running_loop().create_task(self._run_async(invoke))
        self._tasks.add(task)  # the event loop keeps weak references only
        task.add_done_callback(self._tasks.discard)

    def _run_sync(self, invoke: Invoke) -> None:
        function = self._functions[invoke.function]
        try:
            result = function.call(**arguments_of(function, invoke, self._app_dir))
            completed = _completed(function, invoke, result)
        except BaseException as exc:  # noqa: BLE001 - even SystemExit fails only the invocation, not the worker
            completed = _failed(invoke, exc)
        self._channel.send(completed)

    async def _run_async(self, invoke: Invoke) -> None:
        function = self._functions[invoke.function]
        try:
            result = await function.call(**arguments_of(function, invoke, self._app_dir))
            completed = _completed(function, invoke, result)
        except BaseException as exc:  # noqa: BLE001 - as above
            completed = _failed(invoke, exc)
        self._channel.send(completed)


def arguments_of(function: LoadedFunction, invoke: Invoke, app_dir: Path) -> dict[str, object]:
    """Returns the arguments of a function for an invocation."""
    arguments = {function.trigger["name"]: to_argument(function.trigger["type"], invoke.data)}
    if function.wants_context:
        arguments["context"] = InvocationContext(invoke.invocation_id, invoke.function, str(app_dir))
    return arguments


def _thread_count() -> int | None:
    """The number of threads for synchronous functions; None means the executor's default, as in Azure."""
    text = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise AppLoadError(f"PYTHON_THREADPOOL_THREAD_COUNT must be a number of at least 1, not '{text}'")
    return int(text)


def _completed(function: LoadedFunction, invoke: Invoke, result: object) -> Completed:
    if function.returns_http:
        return Completed(invoke.invocation_id, response=to_http_response(result))
    if result is not None:  # an error in Azure too
        raise TypeError(f"function {invoke.function} has no $return binding and returned {type(result).__name__}")
    return Completed(invoke.invocation_id)


def _failed(invoke: Invoke, exc: BaseException) -> Completed:
    logger.error("Function %s raised (Id=%s)", invoke.function, invoke.invocation_id, exc_info=exc)
    return Completed(invoke.invocation_id, error=f"{type(exc).__name__}: {exc}")
