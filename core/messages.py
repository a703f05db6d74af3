"""The messages in the queues: small, versioned, and with ids only.

Parameters stay in the rows, so a hundred messages always fit into one batch (256 KB on Standard).
"""

import json
import re
import reprlib
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.errors import MessageFormatError
from core.ids import MAX_STAGES, TaskAddress, is_batch_id, is_batch_of_stage, parse_task_id
from core.models import StageKey, StageOpening

VERSION = 1
JSON_TYPE = "application/json"
_MAX_COUNT = 1_000_000
_JOB_ID_LENGTH = 32

_TASK_AS_SENT = re.compile(
    rb'{"v":%d,"task_id":"(([0-9a-f]{32})-s(?:0(?=[1-9]-)|(?=[1-9][0-9]-))([1-9][0-9]?)-t[0-9]{7})"'
    rb',"batch_id":"(\2-s\3-b[0-9]{1,7})","send":([1-9][0-9]{0,5}),"misses":(0|[1-9][0-9]{0,5})(?:,"traceparent":"[0-9a-f-]{55}")?}'
    % VERSION
)
"""A task message as `TaskMessage.outgoing` writes it, perhaps with what `core.message_traces` adds: it needs no further
check. Other messages are read as JSON."""


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to be sent.

    Attributes:
        body: UTF-8 JSON.
        message_id: unique per send, so that duplicate detection never swallows a resend.
        enqueue_at: when the broker makes it visible (aware, by the database's clock); None for at once.
        content_type: of the body.
    """

    body: bytes
    message_id: str
    enqueue_at: datetime | None = None
    content_type: str = JSON_TYPE


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as the broker delivered it; `delivery_count` is 1 at the first delivery."""

    body: bytes
    message_id: str | None = None
    delivery_count: int | None = None


@dataclass(frozen=True)
class TaskMessage:
    """A request to run a task, in sb-tasks, sb-tasks-urgent or sb-tasks-long.

    Attributes:
        task_id: the task; it contains the job, the stage and the index.
        batch_id: the aligned batch of the task.
        send: the number of this send of the task, from 1.
        misses: how often a worker found no row for the task.
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
        """Returns the message in the form that is sent."""
        # Built by hand for speed: this runs once for every task of a job, and ids need no escaping.
        body = (
            f'{{"v":{VERSION},"task_id":"{self.task_id}","batch_id":"{self.batch_id}",'
            f'"send":{self.send},"misses":{self.misses}}}'
        )
        # A task without a row cannot count its sends; the misses keep the ids of its messages apart.
        tail = f"m{self.misses}" if self.misses else ""
        return OutgoingMessage(body.encode(), f"{self.task_id}:{self.send}{tail}", enqueue_at)

    @classmethod
    def decode(cls, body: bytes) -> "TaskMessage":
        """Reads a message body.

        Raises:
            MessageFormatError: the body is not a task message of a known version.
        """
        as_sent = _TASK_AS_SENT.fullmatch(body)
        if as_sent is not None:
            task_id, _, _, batch_id, send, misses = as_sent.groups()
            message = cls.__new__(cls)  # its constructor takes twice as long
            vars(message).update(
                task_id=task_id.decode(), batch_id=batch_id.decode(), send=int(send), misses=int(misses)
            )
            return message
        fields = _fields(body)
        task_id = _text(fields, "task_id")
        address = parse_task_id(task_id)
        batch_id = _text(fields, "batch_id")
        if not is_batch_of_stage(batch_id, address):
            raise MessageFormatError(f"batch_id {batch_id[:100]!r} is not a batch of the stage of task {task_id}")
        return cls(task_id, batch_id, _count(fields, "send", 1), _count(fields, "misses", 0))


@dataclass(frozen=True)
class BatchMessage:
    """An envelope: a request to run all tasks of an aligned batch, in sb-batches.

    Attributes:
        batch_id: the batch; it contains the job and the stage.
        send: the number of this send of the batch, from 1.
        misses: how often a worker found no row for the batch.
    """

    batch_id: str
    send: int = 1
    misses: int = 0

    def outgoing(self, enqueue_at: datetime | None = None) -> OutgoingMessage:
        """Returns the message in the form that is sent."""
        body = json.dumps({"v": VERSION, **asdict(self)})
        # A batch without a row cannot count its sends; the misses keep the ids of its messages apart.
        tail = f"m{self.misses}" if self.misses else ""
        return OutgoingMessage(body.encode(), f"{self.batch_id}:b{self.send}{tail}", enqueue_at)

    @classmethod
    def decode(cls, body: bytes) -> "BatchMessage":
        """Reads a message body.

        Raises:
            MessageFormatError: the body is not an envelope of a known version.
        """
        fields = _fields(body)
        batch_id = _text(fields, "batch_id")
        if not is_batch_id(batch_id):
            raise MessageFormatError(f"{batch_id[:100]!r} is not a batch id; one looks like <32 hex digits>-s1-b0")
        if "task_id" in fields:
            raise MessageFormatError("the message is that of a task, not an envelope")
        return cls(batch_id, _count(fields, "send", 1), _count(fields, "misses", 0))


class JobAction(StrEnum):
    """What a job message asks for."""

    DISPATCH = "dispatch"  # write and send the tasks of a stage, or the rest of them
    ADVANCE = "advance"  # a stage has ended: aggregate it, start the next one or end the job
    CANCEL = "cancel"  # a stage was stopped: cancel its waiting tasks


@dataclass(frozen=True)
class JobMessage:
    """A request to work on a stage of a job, in sb-jobs.

    Attributes:
        job_id: 32 hex digits.
        stage: from 1.
        action: what to do.
        redispatches: how often in a row a dispatch of this stage ended with batches that the broker refused; up to 6.
        failures: how often the job's code raised an unexpected error while it handled the message.
        deaths: how often the broker gave up on the message.
        opening: how often the stage had been reopened when the message was made. A stage of another opening ignores the
            message. Earlier versions leave it out, which means 0: a reopened stage ignores their messages, and the
            sweeper sends new ones.
    """

    job_id: str
    stage: int
    action: JobAction
    redispatches: int = 0
    failures: int = 0
    deaths: int = 0
    opening: int = 0

    @classmethod
    def about(cls, stage: StageOpening, action: JobAction) -> "JobMessage":
        """Returns a new message about a stage."""
        return cls(stage.key.job_id, stage.key.number, action, opening=stage.opening)

    @property
    def key(self) -> StageKey:
        """The key of the stage."""
        return StageKey(self.job_id, self.stage)

    @property
    def stage_opening(self) -> StageOpening:
        """The opening of the stage that the message is about."""
        return StageOpening(self.key, self.opening)

    def outgoing(self, enqueue_at: datetime | None = None) -> OutgoingMessage:
        """Returns the message in the form that is sent."""
        body = json.dumps({"v": VERSION, **asdict(self)})
        # No row counts the sends of job messages, so a random tail makes each id unique.
        message_id = f"{self.job_id}-s{self.stage}-{self.action}:{uuid.uuid4().hex}"
        return OutgoingMessage(body.encode(), message_id, enqueue_at)

    @classmethod
    def decode(cls, body: bytes) -> "JobMessage":
        """Reads a message body.

        Raises:
            MessageFormatError: the body is not a job message of a known version.
        """
        fields = _fields(body)
        job_id = _text(fields, "job_id")
        stage = _count(fields, "stage", 1)
        if stage > MAX_STAGES or len(job_id) != _JOB_ID_LENGTH or not set(job_id) <= set("0123456789abcdef"):
            raise MessageFormatError(f"job_id {job_id[:100]!r}, stage {stage} do not name a stage of a job")
        try:
            action = JobAction(_text(fields, "action"))
        except ValueError as exc:
            raise MessageFormatError(f"unknown action {reprlib.repr(fields['action'])}") from exc
        # Messages of an earlier version, which may still be in the queue, call the count "resumes".
        count = "redispatches" if "redispatches" in fields else "resumes"
        return cls(
            *(job_id, stage, action),
            redispatches=_count(fields, count, 0),
            failures=_count(fields, "failures", 0),
            deaths=_count(fields, "deaths", 0),
            opening=_count(fields, "opening", 0),
        )


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise MessageFormatError(f"the body is not JSON: {exc}") from exc
    if not isinstance(fields, dict):
        raise MessageFormatError(f"the body is a JSON {type(fields).__name__}, not an object")
    version = fields.get("v")
    if type(version) is not int or version != VERSION:  # True == 1 and 1.0 == 1
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
