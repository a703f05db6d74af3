"""Isolated tasks in real child processes; one pool for the module, because a process takes half a second to start."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from controllers.run_state import UnsavedRunState
from controllers.task_type import TaskType, task_type
from core.errors import (
    LockstepError,
    RelayedError,
    RelayedPermanentError,
    ShutdownError,
    TaskCrashedError,
    TaskMemoryError,
    TaskTimeoutError,
)
from engine.process.shutdown import Shutdown
from engine.tasks import isolated_run
from engine.tasks.cancellation import Cancellation
from engine.tasks.isolation import Isolation
from engine.tasks.task_channel import TaskCall
from engine.tasks.task_process import TaskProcess
from tests.support.isolated_jobs import do, free, limited, timed
from tests.support.isolated_worker import isolation_of, task, wanted
from tests.support.waiting import wait_until

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def shutdown() -> Shutdown:
    return Shutdown()


@pytest.fixture(scope="module")
def isolation(shutdown: Shutdown) -> Iterator[Isolation]:
    isolation = isolation_of(shutdown)
    yield isolation
    isolation.close()


@pytest.fixture(scope="module")
def run(isolation: Isolation, shutdown: Shutdown) -> Run:
    """Runs a task of a type; returns its result."""

    def run(declared: TaskType, action: str, cancellation: Cancellation | None = None, **parameters: object) -> Any:
        return json.loads(
            isolation.run(declared, task(action, **parameters), cancellation or wanted(shutdown), UnsavedRunState())
        )

    return run


def is_gone(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def has_written(path: Path) -> bool:
    return path.exists() and bool(path.read_text())


def read(path: Path) -> int:
    """The process id that a handler writes."""
    wait_until(lambda: has_written(path))
    return int(path.read_text())


def test_a_handler_runs_in_another_process_with_its_context_and_parameters(run: Run) -> None:
    found = run(free, "echo", n=3)
    assert found.pop("process") != os.getpid()
    ran = task("echo", n=3)
    assert found == {
        "key": ran.task_id,
        "ids": [ran.job_id, ran.batch_id, 1, 7, 2],
        "data_dir": "data",
        "hosts": ["example.org"],
        "is_cancelled": False,
        "parameters": {"do": "echo", "n": 3},
    }


def test_a_process_runs_one_task_after_the_other(run: Run) -> None:
    slow = task_type("isolated.timed", isolated=True, timeout=600)(do)
    assert run(free, "echo")["process"] == run(slow, "echo")["process"]


@pytest.mark.parametrize(
    ("declared", "action", "error", "text"),
    [
        (free, "segfault", TaskCrashedError, "signal SIGSEGV ended it (Segmentation fault)"),
        (free, "exit", TaskCrashedError, "it ended with exit code 3"),
        (free, "kill", TaskCrashedError, "signal SIGKILL ended it (Killed); the kernel sends this signal"),
        (limited, "kill", TaskCrashedError, "; its max_memory_mib is 256 MiB"),
        (free, "close", TaskCrashedError, "it closed its connection to the worker"),
        (limited, "memory", TaskMemoryError, "more memory than its max_memory_mib of 256 MiB"),
        (timed, "hold", TaskTimeoutError, "longer than its timeout of 0.5 s"),
    ],
    ids=["segfault", "exit", "kill", "kill_with_limit", "close", "memory", "timeout"],
)
def test_what_ends_a_process_is_the_failure_of_its_task_alone(
    run: Run, declared: TaskType, action: str, error: type[LockstepError], text: str
) -> None:
    with ThreadPoolExecutor(1) as threads:
        neighbour = threads.submit(run, free, "hold", seconds=1)
        with pytest.raises(error) as caught:
            run(declared, action, seconds=100)
        assert text in str(caught.value)
        assert neighbour.result() == 0
    assert run(free, "echo")


@pytest.mark.parametrize(
    ("action", "error", "type_name", "text"),
    [
        ("raise", RelayedError, "ValueError", "it is wrong"),
        ("sys.exit", RelayedError, "SystemExit", "2"),
        ("fail", RelayedPermanentError, "PermanentTaskError", "it cannot be done"),
        ("no json", RelayedPermanentError, "TaskResultError", "the result cannot be written as JSON"),
        ("too long", RelayedPermanentError, "TaskResultError", "at most 65,536 are accepted"),
        ("database", RelayedPermanentError, "NotInIsolationError", "no connection to Lockstep's database"),
        ("transact", RelayedPermanentError, "NotInIsolationError", "no connection to Lockstep's database"),
        ("previous results", RelayedPermanentError, "NotInIsolationError", "an isolated task has no previous results"),
        ("job parameters", RelayedPermanentError, "NotInIsolationError", "an isolated task has no job parameters"),
    ],
)
def test_what_a_handler_raises_reaches_its_worker(
    run: Run, action: str, error: type[RelayedError], type_name: str, text: str
) -> None:
    with pytest.raises(RelayedError) as caught:
        run(free, action)
    assert type(caught.value) is error
    assert caught.value.type_name == type_name
    assert text in str(caught.value)
    assert "isolated_jobs.py" in caught.value.__notes__[0] or type_name == "TaskResultError"


def test_a_blob_of_an_app_without_accounts_is_refused_as_in_a_thread(run: Run) -> None:
    with pytest.raises(RelayedError, match="set BLOB_ACCOUNT_URL or BLOB_CONNECTION_STRING"):
        run(free, "source", source="blob://things/a.csv")


def test_a_process_that_ends_while_it_is_idle_costs_no_task_an_attempt(run: Run) -> None:
    process = psutil.Process(run(free, "echo")["process"])
    process.kill()
    process.wait()
    assert run(free, "echo")["process"] != process.pid


def test_what_earlier_tasks_leave_in_memory_does_not_fail_a_task_with_a_limit(run: Run) -> None:
    full = run(free, "keep")
    assert run(free, "echo")["process"] == full, "a task without a limit uses the same process"
    assert run(limited, "echo")["process"] != full


def test_a_timeout_does_not_count_the_start_of_the_process(shutdown: Shutdown, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which the process takes 50 s to start, and its task no time."""
    now = [0.0]
    monkeypatch.setattr(isolated_run, "time", SimpleNamespace(monotonic=lambda: now[-1]))
    call = TaskProcess.call

    def start(process: TaskProcess, task_call: TaskCall) -> None:
        call(process, task_call)
        now.append(50.0)

    monkeypatch.setattr(TaskProcess, "call", start)
    isolation = isolation_of(shutdown)
    quick = task_type("isolated.timed", isolated=True, timeout=0.1)(do)
    try:
        assert isolation.run(quick, task("echo"), wanted(shutdown), UnsavedRunState())
    finally:
        isolation.close()


def test_a_timeout_ends_what_the_handler_has_started(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still until the handler has started its child, and then makes leaps."""
    file = tmp_path / "process"
    leaps = count(50, 50)
    monkeypatch.setattr(
        isolated_run, "time", SimpleNamespace(monotonic=lambda: float(next(leaps)) if has_written(file) else 0.0)
    )
    with pytest.raises(TaskTimeoutError):
        run(timed, "hang with a child", process_file=str(file))
    child = read(file)
    wait_until(lambda: is_gone(child))


def test_a_handler_learns_that_its_run_is_no_longer_wanted(run: Run, tmp_path: Path, shutdown: Shutdown) -> None:
    stopped = threading.Event()
    cancellation = Cancellation(shutdown, lambda: not stopped.is_set())
    file = tmp_path / "process"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run, free, "wait", cancellation, process_file=str(file))
        read(file)
        stopped.set()
        assert running.result() == "told"
    assert cancellation.told_of_stop


def test_a_handler_that_does_not_ask_is_not_told(run: Run, shutdown: Shutdown) -> None:
    cancellation = Cancellation(shutdown, lambda: False)
    assert run(free, "hold", cancellation, seconds=0.5) == 0
    assert not cancellation.told_of_stop
    assert run(free, "echo")["is_cancelled"] is False, "the next task is not told instead"


def test_the_log_of_a_child_reaches_the_log_of_its_worker(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(free, "log")
    lines = [(record.name, record.levelno, record.getMessage()) for record in caplog.records]
    name = task("log").task_id
    assert lines[0] == ("job.code", logging.WARNING, f"task {name}: half of it")
    assert lines[1][:2] == ("job.code", logging.ERROR)
    assert lines[1][2].startswith(f"task {name}: failed with AccountKey=")
    assert "ValueError: it is wrong" in lines[1][2]
    assert len(lines) == 2


def test_after_the_grace_time_of_a_shutdown_a_process_is_ended(tmp_path: Path) -> None:
    shutdown = Shutdown()
    isolation = isolation_of(shutdown)
    cancellation = wanted(shutdown)
    file = tmp_path / "process"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            isolation.run, free, task("hang", process_file=str(file)), cancellation, UnsavedRunState()
        )
        process = read(file)
        shutdown.drain(grace_seconds=0.1, release_seconds=0)
        with pytest.raises(ShutdownError):
            running.result()
    assert cancellation.told_of_shutdown
    assert is_gone(process)
    isolation.close()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_their_worker_even_inside_c_code(tmp_path: Path, ending: signal.Signals) -> None:
    file = tmp_path / "process"
    command = [sys.executable, "-m", "tests.support.isolated_worker", str(file)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[4]) as worker:
        process = read(file)
        assert not is_gone(process)
        worker.send_signal(ending)
    wait_until(lambda: is_gone(process))


def test_closing_ends_idle_and_busy_processes(tmp_path: Path, shutdown: Shutdown) -> None:
    isolation = isolation_of(shutdown)
    idle = json.loads(isolation.run(free, task("echo"), wanted(shutdown), UnsavedRunState()))["process"]
    file = tmp_path / "process"
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(
            isolation.run, free, task("hang", process_file=str(file)), wanted(shutdown), UnsavedRunState()
        )
        assert read(file) == idle
        isolation.close()
        with pytest.raises(TaskCrashedError):
            hanging.result()
    assert is_gone(idle)
