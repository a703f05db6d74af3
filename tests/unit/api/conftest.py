from collections.abc import Iterator
from pathlib import Path

import pytest

from api import (
    batch_overviews,
    bulk_actions,
    dead_letters,
    failures,
    health,
    job_listing,
    job_types,
    jobs,
    queues,
    results,
    schedules,
    tasks,
    tasks_of_batch,
)
from controllers.hello_world import HelloWorld
from engine.jobs.bulk_actions import BulkActions
from engine.jobs.queue_reader import QueueReader
from engine.process.health_probe import HealthProbe
from tests.support.defaults import set_defaults
from tests.support.drive import Stand, stand
from tests.support.waiting import LONG_SECONDS


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stand]:
    """The application behind the routes, over the fakes."""
    with stand(HelloWorld, max_request_bytes=200, data_dir=tmp_path) as it:
        for module in (
            *(bulk_actions, jobs, job_listing, tasks, failures, results),
            *(job_types, health, dead_letters, queues, schedules, batch_overviews, tasks_of_batch),
        ):
            monkeypatch.setattr(module, "app", lambda: it.app)
        monkeypatch.setattr(health, "outages", it.outages)
        yield it


@pytest.fixture(autouse=True)
def health_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that no other test has used, and that waits for each answer."""
    monkeypatch.setattr(health, "probe", HealthProbe(health.CHECKS, answer_seconds=LONG_SECONDS))


@pytest.fixture(autouse=True)
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for the counts of queues, and the first slice of a bulk action takes no time."""
    set_defaults(monkeypatch, QueueReader.__init__, broker_seconds=LONG_SECONDS, database_seconds=LONG_SECONDS)
    set_defaults(monkeypatch, BulkActions.__init__, clock=lambda: 0.0)
