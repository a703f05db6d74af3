"""The task definitions that a controller yields, and the aligned batches that are cut from them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from core import ids, json_text
from core.checkpoints import Checkpoint
from core.lanes import Lane
from core.messages import TaskMessage


class TaskRow(NamedTuple):
    """A task row to be inserted; `parameters` is JSON text without line breaks."""

    task_id: str
    task_type: str
    task_index: int
    parameters: str


@dataclass(frozen=True)
class TaskDefinition:
    """One task of a stage, as its controller describes it.

    Attributes:
        task_type: names the handler.
        parameters: anything that JSON can express; the handler gets a copy.
        index: 0, 1, 2, ... in the order in which the stage yields its tasks.
        cursor: anything that JSON can express, or None. With it, the controller can yield the tasks after this one
            without those before: `StageContext.cursor` returns it.
    """

    task_type: str
    parameters: Mapping[str, Any]
    index: int
    cursor: Any = None

    @property
    def encoded_parameters(self) -> str:
        """The parameters in canonical JSON, encoded anew each time: a batch keeps them in its rows.

        Raises:
            UnencodableValueError: JSON cannot express the parameters.
        """
        return json_text.encode(self.parameters, what=f"the parameters of task {self.index}")

    def to_task_record(self, job_id: str, stage: int) -> TaskRow:
        """Returns the task's row."""
        return TaskRow(ids.task_id(job_id, stage, self.index), self.task_type, self.index, self.encoded_parameters)

    def to_queue_message(self, job_id: str, stage: int, batch_id: str, send: int = 1) -> TaskMessage:
        """Returns the task's message for the send with the number `send`."""
        return TaskMessage(ids.task_id(job_id, stage, self.index), batch_id, send)


@dataclass(frozen=True)
class AlignedBatch:
    """Up to `BATCH_SIZE` tasks whose rows are written together and whose messages are sent together.

    Attributes:
        job_id: 32 hex digits.
        stage: from 1.
        batch_index: from 0, in the order of creation.
        lane: the lane of all its tasks.
        definitions: its tasks, at least one.
        checkpoint: the point after this batch, if another slice can continue there.
        enveloped: whether one message carries all its tasks.
    """

    job_id: str
    stage: int
    batch_index: int
    lane: Lane
    definitions: tuple[TaskDefinition, ...] = field(repr=False)
    checkpoint: Checkpoint | None = None
    enveloped: bool = False

    @property
    def batch_id(self) -> str:
        """`{job_id}-s{stage}-b{batch_index}`."""
        return ids.batch_id(self.job_id, self.stage, self.batch_index)

    @property
    def task_count(self) -> int:
        """The number of tasks."""
        return len(self.definitions)

    @cached_property
    def rows(self) -> list[TaskRow]:
        """Its task rows, in index order."""
        return [definition.to_task_record(self.job_id, self.stage) for definition in self.definitions]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of its definitions; a replay that yields another digest is not deterministic."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(f"{row.task_index}\n{row.task_type}\n{row.parameters}\n".encode())
        return digest.hexdigest()

    def messages(self) -> list[TaskMessage]:
        """Returns the first message of each task, in index order."""
        batch_id = self.batch_id
        return [TaskMessage(row.task_id, batch_id) for row in self.rows]
