"""The latency benchmark: from POST to the first task started and to the job completed, on an idle local stack.

A job of 1 task and one of 100 (one aligned batch). The reference of each is the bare way: its commits and broker hops
alone, on the same servers, in the same round. The parts of a job are the times between the transactions that its rows
name: accepted, processing (its first message has arrived), written (the tasks), claimed, recorded, ended; then the
client has seen its end.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import connection

from benchmarks.bare_way import BareWay, Times
from benchmarks.measure import Measured
from benchmarks.noop import JOB_TYPE
from benchmarks.noop_app import running_host
from benchmarks.rounds import Benchmark, Least, Line, Lines
from benchmarks.servers import postgres_server
from local.jobs_client import JobsClient
from local.service_bus.process import EmulatorProcess

_TASKS = (1, 100)
_BARE_QUEUE = "sb-bare"
_POLL_SECONDS = 0.001
_TIMEOUT_SECONDS = 60
_IDLE_SECONDS = 0.2
"""Between two jobs, so that the messages of the first are settled and every receiver waits."""

_PARTS = ("accepted", "processing", "written", "claimed", "recorded", "ended", "seen")
_CLAIMED = _PARTS.index("claimed")

_ENDED = """
SELECT extract(epoch FROM each)::double precision
FROM jobs AS j, LATERAL (
    SELECT min(created_at) AS written_at, min(started_at) AS claimed_at, max(finished_at) AS recorded_at
    FROM tasks
    WHERE parent_job_id = j.job_id
) AS t, unnest(
    ARRAY[j.created_at, j.started_at, t.written_at, t.claimed_at, t.recorded_at, j.finished_at]
) WITH ORDINALITY AS times (each, number)
WHERE j.job_id = %s AND j.status = 'completed'
ORDER BY number
"""
"""When the transactions began that took a job on its way."""

_LEAST_SECONDS = 1e-6
"""Two of these transactions may begin in the same microsecond, and a part of no time has no rate."""


class LatencyTimeoutError(Exception):
    """A job did not complete."""


@contextmanager
def _lines() -> Iterator[Lines]:
    """Measure the latency of small jobs on an idle local stack, beside the commits and broker hops on their way."""
    with ExitStack() as parts:
        databases = parts.enter_context(postgres_server())
        url = parts.enter_context(databases.migrated())
        bare_url = parts.enter_context(databases.empty())
        emulator = parts.enter_context(EmulatorProcess.start())
        emulator.control.create_queue(_BARE_QUEUE)
        bare = parts.enter_context(closing(BareWay(bare_url, emulator.connection_string, _BARE_QUEUE)))
        host = parts.enter_context(running_host(url, emulator.connection_string, 1))
        client = parts.enter_context(closing(JobsClient(host.base_url)))
        conn = parts.enter_context(closing(psycopg2.connect(url)))
        conn.autocommit = True
        lines: dict[str, Line] = {}
        for tasks in _TASKS:
            _run_job(client, conn, tasks)  # warms up
            lines |= _pair(f"bare_{{}}_{tasks}", partial(_run_bare, bare, tasks))
            lines |= _pair(f"{{}}_{tasks}", partial(_run_job, client, conn, tasks))
        yield lines


class Run(NamedTuple):
    """The times of a job, and the seconds of the parts of its way, if they are known."""

    times: Times
    parts: dict[str, float]


def _pair(name: str, run: Callable[[], Run]) -> dict[str, Line]:
    """Two lines of one run: the first that is asked in a round runs it, and leaves the time of the other."""
    left: dict[str, Measured] = {}

    def measured(event: str, _tasks: int) -> Measured:
        if event not in left:
            times, parts = run()
            left.update({each: _measured(seconds) for each, seconds in times._asdict().items()})
            if parts:
                left["completed"]["parts"] = parts
            time.sleep(_IDLE_SECONDS)
        return left.pop(event)

    return {name.format(event): partial(measured, event) for event in Times._fields}


def _measured(seconds: float) -> Measured:
    return Measured(seconds=seconds, peak_rss_mib=None, tasks=1)


def _run_bare(bare: BareWay, tasks: int) -> Run:
    return Run(bare.run(tasks), {})


def _run_job(client: JobsClient, conn: connection, tasks: int) -> Run:
    """Submits a job and waits for its end, by the clock that this machine shares with its database."""
    began = time.time()
    job_id = client.submit(JOB_TYPE, {"n": tasks})
    with conn.cursor() as cursor:
        while time.time() < began + _TIMEOUT_SECONDS:
            cursor.execute(_ENDED, (job_id,))
            if cursor.rowcount:
                times = [began, *(float(at) for (at,) in cursor), time.time()]
                parts = {
                    part: max(after - before, _LEAST_SECONDS)
                    for part, (before, after) in zip(_PARTS, pairwise(times), strict=True)
                }
                return Run(Times(times[_CLAIMED + 1] - began, times[-1] - began), parts)
            time.sleep(_POLL_SECONDS)
    raise LatencyTimeoutError(f"job {job_id} has not completed after {_TIMEOUT_SECONDS} s")


def _references() -> dict[str, str]:
    pairs = [(f"{event}_{tasks}", f"bare_{event}_{tasks}") for tasks in _TASKS for event in Times._fields]
    return {line: bare for pair, bare in ((pair, pair[1]) for pair in pairs) for line in pair}


BENCHMARK = Benchmark(
    _lines,
    reference="bare_completed_1",
    tasks=1,
    repeats=100,
    least=Least(1, 30, 60),
    references=_references(),
    unit="ms",
)
