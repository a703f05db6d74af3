from pathlib import Path

import pytest

from controllers import authoring as lockstep
from tests.fakes.database import FakeDatabase


@pytest.fixture
def context() -> lockstep.TaskContext:
    """The first run of a job's first task."""
    job_id = "0123456789abcdef" * 2
    services = lockstep.Services(Path(), frozenset(), FakeDatabase())
    return lockstep.TaskContext(job_id, f"{job_id}-s01-t0000000", f"{job_id}-s1-b0", 1, 0, 1, services)
