"""A worker process with one isolated task that never ends: `python -m tests.support.isolated_worker PROCESS_FILE`."""

import sys
from pathlib import Path

from controllers.run_state import UnsavedRunState
from controllers.services import Services
from core.task_runs import ClaimedTask
from engine.process.shutdown import Shutdown
from engine.tasks.cancellation import Cancellation
from engine.tasks.isolation import Isolation
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.support.isolated_jobs import IsolatedJob, free


def isolation_of(shutdown: Shutdown) -> Isolation:
    services = Services(Path("data"), frozenset({"example.org"}), FakeDatabase(FakeClock()))
    return Isolation(lambda _: IsolatedJob(), services, max_result_bytes=64 * 1024, shutdown=shutdown)


def task(do: str, **parameters: object) -> ClaimedTask:
    return ClaimedTask("j" * 32 + "-s1-t7", "j" * 32, 1, 7, "j" * 32 + "-s1-b0", "any", {"do": do, **parameters}, 2, 1)


def wanted(shutdown: Shutdown) -> Cancellation:
    return Cancellation(shutdown, lambda: True)


if __name__ == "__main__":
    shutdown = Shutdown()
    isolation_of(shutdown).run(free, task("hang", process_file=sys.argv[1]), wanted(shutdown), UnsavedRunState())
