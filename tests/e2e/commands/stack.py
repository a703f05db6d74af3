"""The stack behind the tests of the command and the client, and its jobs."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg2

from core.messages import TaskMessage
from tests.e2e.commands.sample_jobs import MENDED
from tests.support.settling import are_settled
from tests.support.waiting import wait_until

WAIT_SECONDS = 240
RELEASED = "released"
NEVER = "never"
"""Files for which jobs wait; the second one is made when all tests have ended."""

FAR = datetime(2099, 1, 1, tzinfo=UTC).isoformat()

_KEEP = """
    INSERT INTO dead_letters (queue, reason, description, body, message_id)
    VALUES ('sb-tasks-long', 'MaxDeliveryCountExceeded', 'it was delivered too often', %s, %s)
    RETURNING dead_letter_id
"""
_AGE = "UPDATE jobs SET finished_at = finished_at - interval '1 hour' WHERE job_type = %s AND finished_at IS NOT NULL"


@dataclass(frozen=True)
class Stack:
    """A running app that wants a key."""

    url: str
    key: str
    database_url: str
    data_dir: Path
    http: httpx.Client

    def submit(self, job_type: str = "sample", start_at: str | None = None, **parameters: object) -> str:
        query = {} if start_at is None else {"start_at": start_at}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self.http.post(f"/api/jobs/{job_type}", params=query, json=parameters, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def get(self, path: str) -> Any:
        answer = self.http.get(f"/api/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, job_id: str, *statuses: str) -> str:
        """Waits until a job has one of these statuses, and until its tasks have ended if it has."""
        wait_until(lambda: self.get(f"jobs/{job_id}")["status"] in statuses, WAIT_SECONDS)
        self.settle(job_id)
        return job_id

    def settle(self, job_id: str) -> None:
        """Waits until the tasks of a job that has ended have ended too."""
        wait_until(lambda: are_settled(self.get(f"jobs/{job_id}/batches?limit=1000")["batches"]), WAIT_SECONDS)

    def partly_failed(self, n: int = 40) -> str:
        """A job in which a tenth of the tasks has failed, of two causes."""
        return self.wait(self.submit(n=n, fails=0.1), "completed_with_errors")

    def held(self, n: int = 1, waits_for: str = RELEASED) -> str:
        """A running job whose tasks wait for a file."""
        job_id = self.submit(n=n, waits_for=waits_for)
        wait_until(lambda: bool(self.get(f"jobs/{job_id}/tasks?status=processing")["tasks"]), WAIT_SECONDS)
        return job_id

    def to_be_started(self, job_type: str = "sample") -> str:
        """A job that waits for a time far ahead."""
        return self.submit(job_type, FAR, n=1, area="later")

    def cancelled(self) -> str:
        """A job that was cancelled before it began."""
        job_id = self.to_be_started()
        assert self.http.post(f"/api/jobs/{job_id}/cancel").status_code == 202
        return job_id

    def dead_letter(self, job_id: str | None = None) -> int:
        """A dead letter: of the first task of a job, or of nothing."""
        task_id, batch_id = f"{job_id}-s01-t0000000", f"{job_id}-s1-b0"
        body = TaskMessage(task_id, batch_id).outgoing().body if job_id else b"not of Lockstep"
        return int(self._execute(_KEEP, (body, uuid.uuid4().hex))[0][0])

    def age(self, job_type: str) -> None:
        """Lets jobs have ended an hour ago: those that have just ended cannot be deleted."""
        self._execute(f"{_AGE} RETURNING 1", (job_type,))

    @contextmanager
    def mended(self) -> Iterator[None]:
        """No task fails."""
        with self._file(MENDED):
            yield

    @contextmanager
    def released(self) -> Iterator[None]:
        """The tasks of held jobs go on."""
        with self._file(RELEASED):
            yield

    @contextmanager
    def _file(self, name: str) -> Iterator[None]:
        (self.data_dir / name).touch()
        try:
            yield
        finally:
            (self.data_dir / name).unlink()

    def _execute(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.database_url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())


@dataclass(frozen=True)
class Seeded:
    """Jobs that tests read and do not change, and what belongs to them."""

    completed: str
    partial: str
    failed: str
    cancelled: str
    held: str
    task: str
    batch: str
    group: str
    letter: int


def seed(stack: Stack) -> Seeded:
    wait_until(lambda: stack.http.get("/api/jobs").status_code == 200, WAIT_SECONDS)  # the app migrates its database
    completed, partial = stack.submit(n=120, area="north"), stack.submit(n=40, area="south", fails=0.1)
    failed, cancelled = stack.submit(n=4, fails=1, area="east"), stack.cancelled()
    stack.wait(completed, "completed")
    stack.wait(partial, "completed_with_errors")
    stack.wait(failed, "failed")
    wait_until(lambda: sum(group["tasks"] for group in stack.get(f"jobs/{partial}/failures")["groups"]) == 4)
    group = stack.get(f"jobs/{partial}/failures")["groups"][0]
    example = stack.get(f"jobs/{partial}/tasks/{group['example_task_id']}")
    return Seeded(
        *(completed, partial, failed, cancelled, stack.held(waits_for=NEVER)),
        *(example["task_id"], example["batch_id"], group["error"], stack.dead_letter()),
    )
