"""What `DISPATCH_AHEAD` costs a large job, and gains a small one behind it, on the local stack."""

import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from local.jobs_client import JobsClient
from local.stack import running_stack

_TIMEOUT_SECONDS = 3_600
_POLL_SECONDS = 0.5
_SMALL = 10


def run(
    tasks: int, rounds: int, bounds: Sequence[int], shares: Sequence[float], *, only_small: bool = False
) -> list[dict[str, Any]]:
    """Runs a large job of `hello_world` with each bound in turn, and small jobs of ten tasks behind it.

    Args:
        tasks: of the first stage of the large job; its second stage has as many.
        rounds: runs with each bound, interleaved.
        bounds: values of `DISPATCH_AHEAD`.
        shares: a small job is submitted when this share of the first stage's tasks, or of the bound, is queued.
        only_small: cancels the large job when the small ones have ended.

    Returns:
        A row for each bound: the rate of the large job, and the longest time of a small job; medians of the rounds.
    """
    runs: dict[int, list[tuple[float, float]]] = {bound: [] for bound in bounds}
    for _ in range(rounds):
        for bound, measured in runs.items():
            measured.append(_run(tasks, bound, shares, only_small=only_small))
    return [
        {
            "benchmark": "ahead",
            "line": str(bound),
            "tasks": 2 * tasks,
            "tasks_per_second": statistics.median(rate for rate, _ in measured),
            "small_job_seconds": statistics.median(small for _, small in measured),
        }
        for bound, measured in runs.items()
    ]


def _run(tasks: int, bound: int, shares: Sequence[float], *, only_small: bool) -> tuple[float, float]:
    """Returns the tasks per second of the large job, and the longest time of a small one."""
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-ahead-") as directory,
        running_stack(Path(directory), lambda _: None, {"DISPATCH_AHEAD": str(bound)}) as stack,
        closing(JobsClient(stack.base_url)) as client,
    ):
        client.wait(client.submit("hello_world", {"n": 100}), _TIMEOUT_SECONDS)  # opens all connections
        began = time.monotonic()
        large = client.submit("hello_world", {"n": tasks})
        smalls = [_Small(stack.base_url, share) for share in shares]
        for small in smalls:
            _await_queued(client, large, int(min(tasks, bound) * small.share))
            small.start()
        if only_small:
            for small in smalls:
                small.join()
            client.order(large, "cancel")
        job = client.wait(large, _TIMEOUT_SECONDS)
        ended = sum(stage["tasks"]["completed"] for stage in job["stages"])
        rate = ended / (time.monotonic() - began)
        for small in smalls:
            small.join()
    assert job["status"] == ("cancelled" if only_small else "completed"), job
    assert all(small.status == "completed" for small in smalls)
    return rate, max(small.seconds for small in smalls)


class _Small(threading.Thread):
    """Submits a small job and waits for it."""

    def __init__(self, base_url: str, share: float) -> None:
        super().__init__()
        self.share = share
        self.seconds = 0.0
        self.status = ""
        self._base_url = base_url

    def run(self) -> None:
        """Measures the time from the submission to the end, in seconds."""
        with closing(JobsClient(self._base_url)) as client:
            began = time.monotonic()
            self.status = client.wait(client.submit("hello_world", {"n": _SMALL}), _TIMEOUT_SECONDS)["status"]
            self.seconds = time.monotonic() - began


def _await_queued(client: JobsClient, job_id: str, tasks: int) -> None:
    while sum(stage["tasks"]["created"] for stage in client.job(job_id)["stages"]) < tasks:
        time.sleep(_POLL_SECONDS)
