"""A job type whose isolated tasks do what can end a process; child processes import it by its name."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controllers import authoring as lockstep

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


def _hang_with_a_child(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    child = subprocess.Popen(["sleep", "1000"])
    Path(parameters["process_file"]).write_text(str(child.pid))
    return child.wait()


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
    "hang with a child": _hang_with_a_child,
    "wait": _wait_to_be_cancelled,
    "raise": _raise,
    "fail": _fail,
    "no json": lambda *_: object(),
    "too long": lambda *_: "x" * 100_000,
    "log": _log,
    "database": lambda context, _: context.services.database.transaction(),
    "transact": lambda context, _: context.services.transact(lambda work: work.now()),
    "previous results": lambda context, _: list(context.previous_results()),
    "job parameters": lambda context, _: context.job_parameters,
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
