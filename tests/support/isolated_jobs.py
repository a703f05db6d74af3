"""A job type whose isolated tasks do what can end a process; child processes import it by its name."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from controllers import authoring as lockstep
from core.errors import LockstepError

LIMIT_MIB = 256
TIMEOUT_SECONDS = 0.5

logger = logging.getLogger("job.code")

_kept: list[bytearray] = []


def _echo(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return {
        "process": os.getpid(),
        "key": context.idempotency_key,
        "ids": [context.job_id, context.batch_id, context.stage, context.task_index, context.attempt],
        "data_dir": str(context.services.data_dir),
        "hosts": sorted(context.services.allowed_source_hosts),
        "is_cancelled": context.is_cancelled(),
        "parameters": dict(parameters),
    }


def _hang(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Never returns and never lets another thread of its process run, as some code in C does."""
    Path(parameters["process_file"]).write_text(str(os.getpid()))
    return ctypes.PyDLL(None).sleep(1_000)


def _hold_the_lock(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return ctypes.PyDLL(None).usleep(int(parameters["seconds"] * 1_000_000))


def _hold_the_lock_until_a_pipe_is_opened(
    context: lockstep.TaskContext, parameters: lockstep.TaskParameters
) -> lockstep.JsonValue:
    """Lets no other thread of its process run until somebody opens a named pipe to write; whether it was opened."""
    return int(ctypes.PyDLL(None).open(parameters["pipe"].encode(), os.O_RDONLY)) >= 0


def _hang_with_a_child(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    child = subprocess.Popen(["sleep", "1000"])
    Path(parameters["process_file"]).write_text(str(child.pid))
    return child.wait()


def _read_a_source(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Reads the source of the task, a second time as the version that it was, and copies it to its `target`."""
    with context.services.open_source(parameters["source"]) as source:
        text, version = source.read(0, 1_000).decode(), source.version()
    with context.services.open_source(parameters["source"], version) as source:
        assert source.read(0, 1_000).decode() == text
    if "target" in parameters:
        lockstep.write_ndjson(context.services, parameters["target"], [text])
    return text


def _wait_to_be_cancelled(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    Path(parameters["process_file"]).write_text(str(os.getpid()))
    while not context.is_cancelled():
        threading.Event().wait(0.01)
    return "told"


def _close(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Closes all files of the process, as libraries that make a daemon of it do."""
    os.closerange(3, 100)
    return threading.Event().wait(1_000)


def _raise(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    raise ValueError("it is wrong")


def _fail(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    raise lockstep.PermanentTaskError("it cannot be done")


def _log(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    logger.warning("half of %s", "it")
    try:
        _raise(context, parameters)
    except ValueError:
        logger.exception("failed with AccountKey=abcdefgh12345678")
    logger.debug("details")
    return None


def _keep(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    _kept.append(bytearray(LIMIT_MIB * 3 // 4 * 1024 * 1024))
    return os.getpid()


def _count_and_crash(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Counts to three from its checkpoint on; its first attempt crashes."""
    first = context.last_checkpoint or 0
    for row in range(first, first + 3):
        context.checkpoint(row + 1)
    return ctypes.string_at(0) if context.attempt == 1 else [first, context.last_checkpoint]


def _go_on(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    found = [*(context.last_checkpoint or []), context.attempt]
    if len(found) <= parameters["last"]:
        raise lockstep.ContinueLater(found)
    return found


def _go_on_with(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    raise lockstep.ContinueLater("x" * parameters["size"])


def _catch(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Returns what a write has raised."""
    try:
        if parameters["write"] == "checkpoint":
            context.checkpoint("kept")
        else:
            context.progress(0.5)
    except LockstepError as exc:
        logger.warning("caught %s", type(exc).__name__)
        return [type(exc).__name__, str(exc)]
    return ["none", ""]


def _progress(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    for step in range(parameters["steps"]):
        context.progress(step / parameters["steps"], f"step {step}")
    return None


def _checkpoints_of_threads(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    def keep(thread: int) -> int:
        for step in range(parameters["each"]):
            context.checkpoint([thread, step])
            context.is_cancelled()
        return int(parameters["each"])

    with ThreadPoolExecutor(parameters["threads"]) as threads:
        return sum(threads.map(keep, range(parameters["threads"])))


_left: list[tuple[threading.Event, threading.Thread, list[Any]]] = []


def _leave_a_thread(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    asked, found = threading.Event(), list[Any]()

    def keep() -> None:
        asked.wait()
        try:
            context.checkpoint("of another task")
        except LockstepError as exc:
            found.append(type(exc).__name__)
        found.append(context.is_cancelled())

    thread = threading.Thread(target=keep)
    thread.start()
    _left.append((asked, thread, found))
    return None


def _ask_the_thread(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    asked, thread, found = _left.pop()
    asked.set()
    thread.join()
    return found


ACTIONS: dict[str, Callable[[lockstep.TaskContext, lockstep.TaskParameters], Any]] = {
    "echo": _echo,
    "segfault": lambda *_: ctypes.string_at(0),
    "exit": lambda *_: os._exit(3),
    "sys.exit": lambda *_: sys.exit(2),
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "close": _close,
    "memory": lambda *_: len(bytearray(1024 * 1024 * 1024)),
    "keep": _keep,
    "hang": _hang,
    "hold": _hold_the_lock,
    "hold until": _hold_the_lock_until_a_pipe_is_opened,
    "hang with a child": _hang_with_a_child,
    "wait": _wait_to_be_cancelled,
    "raise": _raise,
    "fail": _fail,
    "no json": lambda *_: object(),
    "too long": lambda *_: "x" * 100_000,
    "log": _log,
    "count and crash": _count_and_crash,
    "go on": _go_on,
    "go on with": _go_on_with,
    "go on for ever": lambda context, _: _go_on_with(context, {"size": 1}),
    "checkpoint": lambda context, parameters: context.checkpoint("x" * parameters["size"]),
    "catch": _catch,
    "progress": _progress,
    "checkpoints of threads": _checkpoints_of_threads,
    "leave a thread": _leave_a_thread,
    "ask the thread": _ask_the_thread,
    "database": lambda context, _: context.services.database.transaction(),
    "transact": lambda context, _: context.services.transact(lambda work: work.now()),
    "source": _read_a_source,
    "previous results": lambda context, _: list(context.previous_results()),
    "job parameters": lambda context, _: context.job_parameters,
    "trace": lambda context, _: context.traceparent,
}


def do(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return ACTIONS[parameters["do"]](context, parameters)


_SOON = lockstep.Backoff(base_seconds=0)

plain = lockstep.task_type("isolated.plain", max_attempts=1)(do)
free = lockstep.task_type("isolated.free", max_attempts=2, backoff=_SOON, isolated=True)(do)
limited = lockstep.task_type("isolated.limited", max_attempts=1, isolated=True, max_memory_mib=LIMIT_MIB)(do)
timed = lockstep.task_type("isolated.timed", max_attempts=1, isolated=True, timeout=TIMEOUT_SECONDS)(do)


class IsolatedParameters(lockstep.JobParameters):
    tasks: list[dict[str, Any]]


class IsolatedJob(lockstep.JobController[IsolatedParameters]):
    """Tasks as its parameters describe them: `of` is the type of one, the rest its parameters."""

    job_type = "isolated"
    stages = (lockstep.StageSpec("do", max_failed_fraction=1),)
    task_types = (plain, free, limited, timed)

    def create_stage_tasks(
        self, job: lockstep.JobContext[IsolatedParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index, task in enumerate(job.parameters.tasks):
            yield lockstep.TaskDefinition(task["of"], task, index)
