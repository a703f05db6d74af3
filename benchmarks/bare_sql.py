"""The bare SQL that claims and records tasks: the same rows and columns as Lockstep, and nothing else.

One statement claims, one records, each in a transaction of its own and in one round trip. They lock no row in order,
check no lease and no stage, count nothing in batches and stages, and build no object per task: a bound, not a worker.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
from psycopg2.extensions import connection

_CLAIM = """
UPDATE tasks
SET
    status = 'processing', attempt = attempt + 1, lease_id = %(lease_id)s,
    lease_expires_at = now() + make_interval(secs => 50), started_at = now(), worker = 'bare'
WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'queued'
RETURNING task_id, parent_job_id, stage, task_index, batch_id, task_type, parameters, attempt, failures, checkpoint
"""
_RECORD = """
UPDATE tasks
SET
    status = outcome.status, result = outcome.result, lease_id = NULL, lease_expires_at = NULL, finished_at = now()
FROM unnest(%(task_ids)s::text[], %(statuses)s::task_status[], %(results)s::jsonb[])
    AS outcome (task_id, status, result)
WHERE tasks.task_id = outcome.task_id AND tasks.status = 'processing' AND tasks.lease_id = %(lease_id)s
RETURNING tasks.task_id, tasks.batch_id, tasks.status
"""


class BareSql:
    """Ends tasks on some connections, each with a thread."""

    def __init__(self, database_url: str, connections: int) -> None:
        self._parts = ExitStack()
        self._connections = [self._connect(database_url) for _ in range(connections)]

    def run(self, invocations: Sequence[Sequence[str]]) -> None:
        """Claims and records the tasks of each invocation, given by their ids."""
        count = len(self._connections)
        with ThreadPoolExecutor(count) as threads:
            shares = [invocations[number::count] for number in range(count)]
            list(threads.map(_run_all, self._connections, shares))

    def close(self) -> None:
        """Closes the connections."""
        self._parts.close()

    def _connect(self, database_url: str) -> connection:
        conn = self._parts.enter_context(closing(psycopg2.connect(database_url)))
        conn.autocommit = True
        return conn


def _run_all(conn: connection, invocations: Sequence[Sequence[str]]) -> None:
    with conn.cursor() as cursor:
        for number, task_ids in enumerate(invocations):
            lease: dict[str, Any] = {"lease_id": f"bare{number:028}"}
            cursor.execute(_CLAIM, {**lease, "task_ids": list(task_ids)})
            claimed = [row[0] for row in cursor.fetchall()]
            assert len(claimed) == len(task_ids)
            values = {"task_ids": claimed, "statuses": ["completed"] * len(claimed), "results": ["null"] * len(claimed)}
            cursor.execute(_RECORD, {**lease, **values})
            assert len(cursor.fetchall()) == len(claimed)
