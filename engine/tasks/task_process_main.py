"""The child process of isolated tasks: runs one handler after the other, as its worker asks.

It opens no connection to Lockstep's database. It ends with its worker, and when it had nothing to run for a minute.
"""

import ctypes
import faulthandler
import importlib
import json
import logging
import os
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from controllers.context import Handler, TaskContext
from controllers.run_state import checkpoint_text
from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts, BlobPlace
from controllers.task_type import TaskType
from core import json_text
from core.error_records import text_of
from core.errors import ContinueLater, InvalidInputError, NotInIsolationError, PermanentTaskError, TaskResultError
from core.telemetry import use
from engine.tasks.task_channel import TaskCall, TaskChannel
from engine.tasks.task_process_state import RelayedRunState, RelayedTrace, WorkerMessages
from repositories.ports import Database, TransactionKind

_IDLE_SECONDS = 60.0

_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the kernel kills this process when the thread that started it ends, whatever a handler does."""

_STATUS = Path("/proc/self/status")

_MEMORY_LIMITS = resource.getrlimit(resource.RLIMIT_DATA)
"""Of a task without a limit."""

_OUT_OF_MEMORY_SCORE = "500"
"""Of 1,000: when the machine has no memory left, the kernel ends this process before its worker."""

_MAX_TEXT = 1024 * 1024
"""Of an error's message: far more than its row keeps, so that the worker finds the secrets in it before it cuts it."""

_MAX_TRACEBACK = 100_000


def main(file_descriptor: int, parent_id: int) -> NoReturn:
    """Runs tasks until the worker has ended or asks for nothing more.

    Args:
        file_descriptor: of this process's end of the channel.
        parent_id: the process id of the worker.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == parent_id:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))  # a core file for each crash would fill the disk
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE)
        faulthandler.enable()
        _serve(TaskChannel(Connection(file_descriptor)))
    # Not sys.exit: a thread that a handler has left behind would keep the process.
    os._exit(0)


def _serve(channel: TaskChannel) -> None:
    logs = _Logs(channel)
    logging.getLogger().addHandler(logs)
    calls = 0
    try:
        while channel.poll(_IDLE_SECONDS):
            message = channel.receive()
            if message["kind"] != "call":  # a cancel that came too late for the handler before
                continue
            call = TaskCall(**message["call"])
            if calls and _keeps_too_much(call.max_memory_mib):
                return  # the worker takes another process
            calls += 1
            _run(channel, logs, call)
    except (EOFError, OSError):
        return


def _keeps_too_much(max_memory_mib: int | None) -> bool:
    """Whether earlier tasks have left more in this process than half of what the next one may take."""
    if max_memory_mib is None or not _STATUS.exists():
        return False
    kib = next(int(line.split()[1]) for line in _STATUS.read_text().splitlines() if line.startswith("VmData:"))
    return kib > max_memory_mib * 1024 / 2


def _run(channel: TaskChannel, logs: "_Logs", call: TaskCall) -> None:
    logs.begin(call)
    use(RelayedTrace(call.traceparent))
    messages = WorkerMessages(channel, call.task_id)
    answer: dict[str, Any]
    try:
        handler = _handler(call.module, call.qualname, call.task_type)
        channel.put("started")
        _limit_memory(call.max_memory_mib)
        answer = _outcome(handler, _context(call, messages), call)
    except BaseException as exc:  # noqa: BLE001 - even SystemExit is this task's failure
        _limit_memory(None)
        answer = _error(exc)
    _limit_memory(None)
    messages.end()
    channel.put(**answer, told=messages.told)


def _outcome(handler: Handler, context: TaskContext, call: TaskCall) -> dict[str, Any]:
    try:
        result = handler(context, call.parameters)
    except ContinueLater as later:
        return {"kind": "continue", "state": checkpoint_text(later.state, call.max_result_bytes)}
    return {"kind": "result", "result": _encode(result, call)}


@cache
def _handler(module: str, qualname: str, task_type: str) -> Handler:
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    task_types: Sequence[TaskType] = found().task_types
    return next(each.handler for each in task_types if each.name == task_type)


def _context(call: TaskCall, messages: WorkerMessages) -> TaskContext:
    services = Services(
        Path(call.data_dir), frozenset(call.allowed_source_hosts), _NoDatabase(), _Blobs(opening=json.dumps(call.blobs))
    )
    return TaskContext(
        job_id=call.job_id,
        task_id=call.task_id,
        batch_id=call.batch_id,
        stage=call.stage,
        task_index=call.task_index,
        attempt=call.attempt,
        services=services,
        is_cancelled=messages.is_cancelled,
        previous_results=_no_previous_results,
        read_job_parameters=_no_job_parameters,
        state=RelayedRunState(messages, call),
    )


def _no_previous_results(_first_index: int = 0) -> NoReturn:
    raise NotInIsolationError("previous results")


def _no_job_parameters() -> NoReturn:
    raise NotInIsolationError("job parameters")


def _encode(result: object, call: TaskCall) -> str:
    try:
        return json_text.encode(result, what="the result", max_bytes=call.max_result_bytes)
    except InvalidInputError as exc:
        raise TaskResultError(str(exc)) from exc


def _error(exc: BaseException) -> dict[str, Any]:
    return {
        "kind": "error",
        "type": type(exc).__name__,
        "message": text_of(exc)[:_MAX_TEXT],
        "trace": "".join(traceback.format_exception(exc))[-_MAX_TRACEBACK:],
        "permanent": isinstance(exc, PermanentTaskError),
        "out_of_memory": isinstance(exc, MemoryError),
    }


def _limit_memory(mib: int | None) -> None:
    """Limits the private writable memory of this process; RLIMIT_AS would count what a library only reserves."""
    soft, hard = _MEMORY_LIMITS
    if mib is not None:
        soft = mib * 1024 * 1024 if hard == resource.RLIM_INFINITY else min(mib * 1024 * 1024, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


class _NoDatabase(Database):
    """Stands in for Lockstep's database, to which this process has no connection."""

    @override
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> NoReturn:
        raise NotInIsolationError("connection to Lockstep's database")


@dataclass(frozen=True)
class _Blobs(BlobAccounts):
    """The storage accounts of the app, opened when a task asks for the first blob: their client takes memory."""

    opening: str = field(default="null", repr=False)

    @override
    def find(self, url: str) -> BlobPlace | None:
        return _opened(self.opening).find(url)


@cache
def _opened(opening: str) -> BlobAccounts:
    """Opens the accounts once for all tasks of this process."""
    given = json.loads(opening)
    if given is None:
        return BlobAccounts()
    open_stores = getattr(importlib.import_module(given["module"]), given["function"])
    return BlobAccounts(open_stores(given["settings"]), given["default"])


class _Logs(logging.Handler):
    """Sends the log lines of this process to the worker."""

    def __init__(self, channel: TaskChannel) -> None:
        super().__init__()
        self._channel = channel
        self._task_id = ""

    def begin(self, call: TaskCall) -> None:
        """Names the task that runs now."""
        self._task_id = call.task_id
        logging.getLogger().setLevel(call.log_level)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._channel.put(
                "log", task_id=self._task_id, name=record.name, level=record.levelno, text=self.format(record)
            )
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)
