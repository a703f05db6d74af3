"""What a worker and the child process of an isolated task send each other: JSON objects over a pair of sockets.

To the child: `call` with the fields of a `TaskCall`, `cancel`, and an `answer` to each `checkpoint` and `progress`.
From the child: `started` when the code of the job type is imported, any number of `checkpoint` and `progress`, then
`result`, `error` or `continue`; and `log` at any time. A state is sent as JSON text, because the child checks its size.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class TaskCall:
    """What the child process needs to know of one run of a task.

    Attributes:
        module: the module of the job type's class.
        qualname: the name of the class in its module.
        task_type: one of its task types.
        job_id: the job.
        task_id: the task.
        batch_id: the aligned batch of the task.
        stage: from 1.
        task_index: from 0.
        attempt: 1 for the first run.
        parameters: decoded from JSON.
        data_dir: the only directory that jobs may read files from.
        allowed_source_hosts: the hosts that jobs may read from over https.
        max_result_bytes: the maximum size of the result as JSON.
        max_memory_mib: how much memory the process may take; None for no limit.
        log_level: the lowest level that the worker logs.
        checkpoint: the last one, decoded from JSON; None if there is none.
        traceparent: the trace context of the run; None while telemetry is off.
        blobs: how the storage accounts of the app are opened: a `default`, and the fields of their `Reopening`; None if
            it has none.
    """

    module: str
    qualname: str
    task_type: str
    job_id: str
    task_id: str
    batch_id: str
    stage: int
    task_index: int
    attempt: int
    parameters: Mapping[str, Any]
    data_dir: str
    allowed_source_hosts: list[str]
    max_result_bytes: int
    max_memory_mib: int | None
    log_level: int
    checkpoint: Any
    traceparent: str | None = None
    blobs: Mapping[str, Any] | None = field(default=None, repr=False)


class TaskChannel:
    """One end of the connection; several threads may put messages, one receives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def put(self, kind: str, **fields: Any) -> None:
        """Sends a message to the other process.

        Raises:
            OSError: the other process has ended.
        """
        data = json.dumps({"kind": kind, **fields}).encode()
        with self._sending:
            self._connection.send_bytes(data)

    def poll(self, seconds: float) -> bool:
        """Waits for a message, or for the end of the other process; returns False after `seconds`."""
        return self._connection.poll(seconds)

    def receive(self) -> dict[str, Any]:
        """Returns the next message.

        Raises:
            EOFError: the other process has ended.
            OSError: likewise.
            ValueError: it has sent something else than a message.
        """
        message = json.loads(self._connection.recv_bytes())
        if not isinstance(message, dict) or "kind" not in message:
            raise ValueError("this is no message")
        return message

    def close(self) -> None:
        """Closes this end."""
        self._connection.close()
