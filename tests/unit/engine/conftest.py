import math
from types import SimpleNamespace

import pytest

from engine.tasks import cancellation, task_runner, worker
from engine.tasks.worker import Worker


class RunClock:
    """The clock by which runs of tasks start, renew their leases and time out.

    Attributes:
        seconds: the time, which a test moves.
    """

    def __init__(self) -> None:
        self.seconds = 0.0


@pytest.fixture
def run_clock(monkeypatch: pytest.MonkeyPatch) -> RunClock:
    """Holds time still for the runs of tasks: whatever holds up a thread, it is late only if the test says so."""
    clock = RunClock()
    for module in (worker, task_runner, cancellation):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


@pytest.fixture
def late_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has tasks start however late their thread comes to them; a run with a short lease would release them."""
    monkeypatch.setattr(Worker, "_start_until", lambda _: math.inf)
