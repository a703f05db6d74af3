"""Worker processes to kill, pause and replace."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.faults import worker

# Forked from a process without threads that has imported everything: a new worker costs a connection or two.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([worker.__name__])


class Crew:
    """Worker processes; the first of them has the timer.

    Args:
        environment: the app's settings.
        log_file: where all of them append their logs.
    """

    def __init__(self, environment: Mapping[str, str], log_file: Path) -> None:
        self._environment = dict(environment)
        self._log_file = log_file
        self._workers: list[ForkServerProcess] = []

    def __len__(self) -> int:
        return len(self._workers)

    def add(self) -> None:
        """Starts one more worker."""
        self._workers.append(self._fork(sweeps=not self._workers))

    def pid(self, index: int) -> int:
        """A worker's process id."""
        pid = self._workers[index].pid
        assert pid is not None
        return pid

    def kill(self, index: int) -> None:
        """Kills a worker with SIGKILL and starts another in its place."""
        _end(self._workers[index])
        self._workers[index] = self._fork(sweeps=index == 0)

    def replace_dead(self) -> int:
        """Replaces the workers that have ended by themselves; returns how many."""
        dead = [index for index, process in enumerate(self._workers) if not process.is_alive()]
        for index in dead:
            self.kill(index)
        return len(dead)

    def pause(self, index: int) -> None:
        """Stops a worker with SIGSTOP."""
        os.kill(self.pid(index), signal.SIGSTOP)

    def resume(self, index: int) -> None:
        """Lets a worker that was paused go on."""
        os.kill(self.pid(index), signal.SIGCONT)

    def log(self) -> str:
        """The workers' log until now."""
        return self._log_file.read_text() if self._log_file.exists() else ""

    def stop(self) -> None:
        """Kills all of them."""
        while self._workers:
            _end(self._workers.pop())

    def _fork(self, *, sweeps: bool) -> ForkServerProcess:
        process = _FORKS.Process(
            target=worker.run, args=(self._environment, self._log_file), kwargs={"sweeps": sweeps}, daemon=True
        )
        process.start()
        return process


def _end(process: ForkServerProcess) -> None:
    process.kill()
    process.join()
    process.close()
