"""The bare way of a job of one stage: the commits and the broker's hops that it cannot do without, one after another.

A step before the next: the job's row; a hop to the dispatcher; the stage's row and its lease; the rows of the tasks; a
hop to the worker; the claim (here a task has started); the outcomes; a hop; the end of the job. No HTTP, no host, no
engine, and nothing that may happen beside the way, such as completing messages or marking rows as queued.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import psycopg2
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage
from psycopg2.extras import execute_values

_CREATE = """
CREATE TABLE bare_jobs (job_id bigserial PRIMARY KEY, steps integer NOT NULL DEFAULT 0);
CREATE TABLE bare_tasks (
    job_id bigint NOT NULL, task_index integer NOT NULL, status text NOT NULL, parameters jsonb NOT NULL, result jsonb,
    started_at timestamptz, finished_at timestamptz, PRIMARY KEY (job_id, task_index)
)
"""
_SUBMIT = "INSERT INTO bare_jobs DEFAULT VALUES RETURNING job_id"
_STEP = "UPDATE bare_jobs SET steps = steps + 1 WHERE job_id = %s"
_INSERT = "INSERT INTO bare_tasks (job_id, task_index, status, parameters) VALUES %s"
_CLAIM = """
UPDATE bare_tasks SET status = 'processing', started_at = now() WHERE job_id = %s
RETURNING task_index, parameters
"""
_RECORD = "UPDATE bare_tasks SET status = 'completed', result = 'null', finished_at = now() WHERE job_id = %s"

_WAIT_SECONDS = 30
_BODY = b"x" * 200  # about the size of a task's message


class Times(NamedTuple):
    """Seconds from the submission of a job to its first task, and to its end."""

    started: float
    completed: float


class BareWay:
    """One connection to the database and one to the broker, both open.

    Args:
        database_url: a database of its own.
        connection_string: of Service Bus.
        queue: a queue that nobody else uses.
    """

    def __init__(self, database_url: str, connection_string: str, queue: str) -> None:
        self._parts = ExitStack()
        self._connection = self._parts.enter_context(closing(psycopg2.connect(database_url)))
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute(_CREATE)
        client = self._parts.enter_context(ServiceBusClient.from_connection_string(connection_string))
        self._sender = self._parts.enter_context(client.get_queue_sender(queue))
        self._receiver = self._parts.enter_context(client.get_queue_receiver(queue, prefetch_count=0))

    def run(self, tasks: int) -> Times:
        """Goes the way once with a job of that many tasks."""
        received: list[ServiceBusReceivedMessage] = []
        began = time.perf_counter()
        (job_id,) = self._one(_SUBMIT)
        received += self._hop(1)
        self._cursor.execute(_STEP, (job_id,))
        self._cursor.execute(_STEP, (job_id,))
        execute_values(self._cursor, _INSERT, [(job_id, index, "queued", "{}") for index in range(tasks)])
        received += self._hop(tasks)
        started = time.perf_counter() - began
        self._cursor.execute(_CLAIM, (job_id,))
        assert len(self._cursor.fetchall()) == tasks
        self._cursor.execute(_RECORD, (job_id,))
        received += self._hop(1)
        self._cursor.execute(_STEP, (job_id,))
        completed = time.perf_counter() - began
        for message in received:
            self._receiver.complete_message(message)
        return Times(started, completed)

    def close(self) -> None:
        """Closes both connections."""
        self._parts.close()

    def _one(self, statement: str) -> tuple[Any, ...]:
        self._cursor.execute(statement)
        row = self._cursor.fetchone()
        assert row is not None
        return row

    def _hop(self, messages: int) -> Sequence[ServiceBusReceivedMessage]:
        """Sends messages as one batch and receives them."""
        batch = self._sender.create_message_batch()
        for _ in range(messages):
            batch.add_message(ServiceBusMessage(_BODY))
        self._sender.send_messages(batch)
        received: list[ServiceBusReceivedMessage] = []
        while len(received) < messages:
            received += self._receiver.receive_messages(messages - len(received), _WAIT_SECONDS)
        return received
