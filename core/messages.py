"""The messages in the queues: small, versioned, ids only.

A message never carries parameters: the row holds them, so a hundred messages always fit one batch
(256 KB on Standard).
"""

import json
import reprlib
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.errors import MessageFormatError
from core.ids import TaskAddress, is_batch_of_stage, parse_task_id

VERSION = 1
_MAX_COUNT = 1_000_000
_MAX_STAGE = 99


@dataclass(frozen=True)
class OutgoingMessage:
    """A message on its way to a queue.

    Attributes:
        body: UTF-8 JSON.
        message_id: unique per send, so that duplicate detection never swallows a resend.
        enqueue_at: when the broker shall make it visible (aware, by the database's clock); None for now.
    """

    body: bytes
    message_id: str
    enqueue_at: datetime | None = None


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as the broker delivered it; `delivery_count` is 1 at the first delivery."""

    body: bytes
    message_id: str | None = None
    delivery_count: int | None = None


@dataclass(frozen=True)
class TaskMessage:
    """A request to run a task, in sb-tasks or sb-tasks-long.

    Attributes:
        task_id: the task; its job, stage and index can be read from it.
        batch_id: the aligned batch that it came with.
        send: counts the sends of this task, from 1.
        misses: how often a worker has found no row for it.
    """

    task_id: str
    batch_id: str
    send: int = 1
    misses: int = 0

    @property
    def address(self) -> TaskAddress:
        """The job, stage and index of the task."""
        return parse_task_id(self.task_id)

    def outgoing(self, enqueue_at: datetime | None = None) -> OutgoingMessage:
        """The message as it is sent."""
        # Spelled by hand: ids need no escaping, and this line runs once for every task of a job.
        body = (
            f'{{"v":{VERSION},"task_id":"{self.task_id}","batch_id":"{self.batch_id}",'
            f'"send":{self.send},"misses":{self.misses}}}'
        )
        # A message that waits for its row cannot count its sends on it; its misses tell the copies apart.
        tail = f"m{self.misses}" if self.misses else ""
        return OutgoingMessage(body.encode(), f"{self.task_id}:{self.send}{tail}", enqueue_at)

    @classmethod
    def decode(cls, body: bytes) -> "TaskMessage":
        """Reads a message body.

        Raises:
            MessageFormatError: it is no task message of a known version.
        """
        fields = _fields(body)
        task_id = _text(fields, "task_id")
        address = parse_task_id(task_id)
        batch_id = _text(fields, "batch_id")
        if not is_batch_of_stage(batch_id, address):
            raise MessageFormatError(f"batch_id {batch_id[:100]!r} is no batch of the stage of task {task_id}")
        return cls(task_id, batch_id, _count(fields, "send", 1), _count(fields, "misses", 0))


class JobAction(StrEnum):
    """What a job message asks for."""

    DISPATCH = "dispatch"  # write and send the tasks of a stage, or go on doing so
    ADVANCE = "advance"  # a stage has ended: aggregate it, start the next one or end the job
    CANCEL = "cancel"  # a stage was stopped: cancel its tasks that wait


@dataclass(frozen=True)
class JobMessage:
    """A request to do something with a stage of a job, in sb-jobs.

    Attributes:
        job_id: 32 hex digits.
        stage: from 1.
        action: what to do.
        resumes: how often this dispatch has ended with batches that the broker did not take.
        failures: how often the job's code has failed with it for an unforeseen reason.
        deaths: how often the broker has given up on it.
    """

    job_id: str
    stage: int
    action: JobAction
    resumes: int = 0
    failures: int = 0
    deaths: int = 0

    def outgoing(self, enqueue_at: datetime | None = None) -> OutgoingMessage:
        """The message as it is sent."""
        body = json.dumps({"v": VERSION, **asdict(self)})
        # Sends of job messages are not counted anywhere; a random tail keeps each of them apart.
        message_id = f"{self.job_id}-s{self.stage}-{self.action}:{uuid.uuid4().hex}"
        return OutgoingMessage(body.encode(), message_id, enqueue_at)

    @classmethod
    def decode(cls, body: bytes) -> "JobMessage":
        """Reads a message body.

        Raises:
            MessageFormatError: it is no job message of a known version.
        """
        fields = _fields(body)
        job_id = _text(fields, "job_id")
        stage = _count(fields, "stage", 1)
        if stage > _MAX_STAGE or len(job_id) != 32 or not set(job_id) <= set("0123456789abcdef"):  # noqa: PLR2004
            raise MessageFormatError(f"job_id {job_id[:100]!r}, stage {stage} name no stage of a job")
        try:
            action = JobAction(_text(fields, "action"))
        except ValueError as exc:
            raise MessageFormatError(f"unknown action {reprlib.repr(fields['action'])}") from exc
        counts = {name: _count(fields, name, 0) for name in ("resumes", "failures", "deaths")}
        return cls(job_id, stage, action, **counts)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise MessageFormatError(f"the body is not JSON: {exc}") from exc
    if not isinstance(fields, dict):
        raise MessageFormatError(f"the body is a JSON {type(fields).__name__}, not an object")
    version = fields.get("v")
    if type(version) is not int or version != VERSION:  # true and 1.0 are equal to 1
        raise MessageFormatError(f"message version {reprlib.repr(version)} is not known; this is version {VERSION}")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise MessageFormatError(f"{name} must be a string, not {type(value).__name__}")
    return value


def _count(fields: dict[str, Any], name: str, least: int) -> int:
    value = fields.get(name, least)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MAX_COUNT:
        raise MessageFormatError(f"{name} must be a whole number from {least} to {_MAX_COUNT:,}")
    return value
