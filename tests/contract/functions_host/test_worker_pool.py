"""The worker pool with real processes, in race conditions that requests to a host cannot produce reliably."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.functions_host.errors import FunctionTimeoutError
from local.functions_host.protocol import HttpRequestData, Invoke
from local.functions_host.worker_pool import WorkerPool
from tests.contract.functions_host.test_starting import write_app

CODE = """
import os, threading
@app.route()
def stuck(req: func.HttpRequest) -> str: threading.Event().wait()
@app.route()
def process(req: func.HttpRequest) -> str: return str(os.getpid())
"""
REQUEST = HttpRequestData("GET", "http://127.0.0.1/", {}, {}, {}, b"")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    pool = WorkerPool(write_app(tmp_path / "app", CODE), 1, None)
    pool.start()
    yield pool
    pool.stop()


def process_of(pool: WorkerPool) -> int:
    completed = pool.submit(Invoke("process", "process", REQUEST)).result(60)
    assert completed.response
    return int(completed.response.body)


def test_an_invocation_right_after_a_timeout_goes_to_the_new_worker(pool: WorkerPool) -> None:
    before = process_of(pool)
    stuck = pool.submit(Invoke("stuck", "stuck", REQUEST))
    pool.time_out("stuck", FunctionTimeoutError("too long"))
    assert process_of(pool) != before
    with pytest.raises(FunctionTimeoutError, match="too long"):
        stuck.result(60)


def test_a_timeout_of_an_invocation_that_has_ended_leaves_the_worker_alone(pool: WorkerPool) -> None:
    before = process_of(pool)
    pool.time_out("process", FunctionTimeoutError("too long"))
    assert process_of(pool) == before
