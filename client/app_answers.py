"""What the app answers about itself and about many jobs. A test compares these types with the OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from client.answers import JobStatus, Lane, MessagePer, Time

BulkKind = Literal["cancel", "retry", "delete"]
Transport = Literal["service_bus", "storage"]
DeadLetterState = Literal["kept", "resending", "resent", "discarded"]


class StageOfType(TypedDict):
    """A stage of a job type; the job fails if more than `max_failed_fraction` of its tasks fail."""

    stage: int
    name: str
    max_failed_fraction: float
    dispatch_protocol: Literal["two_phase", "atomic"]
    message_per: MessagePer


class Backoff(TypedDict, total=False):
    """How long a task waits before its next attempt."""

    base_seconds: float
    factor: float
    cap_seconds: float


class Rate(TypedDict):
    """At most so many starts in any so many seconds."""

    starts: int
    seconds: float


class TaskTypeOfType(TypedDict):
    """A task type with its policy and its limits; null for no limit."""

    name: str
    lane: Lane
    max_attempts: int
    backoff: Backoff
    timeout_seconds: float | None
    isolated: bool
    max_memory_mib: int | None
    max_running: int | None
    rate: Rate | None
    takes_lists: bool


class JobType(TypedDict):
    """A job type; `parameters` is the JSON Schema of what submits a job."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]
    stages: Sequence[StageOfType]
    task_types: Sequence[TaskTypeOfType]


class JobCount(TypedDict):
    """How many jobs a bulk action would be about."""

    matched: int


class JobRefusal(TypedDict):
    """Why it could not be done with a job."""

    job_id: str
    reason: str


class ActionProgress(TypedDict):
    """How far a bulk action has come; `failures` has the first hundred."""

    action_id: str
    action: BulkKind
    is_finished: bool
    matched: int
    done: int
    failed: int
    failures: Sequence[JobRefusal]
    created_at: Time
    finished_at: Time | None


class ListedAction(TypedDict):
    """A bulk action in a list, with its filter."""

    action_id: str
    action: BulkKind
    job_type: str | None
    statuses: Sequence[JobStatus]
    created_from: Time | None
    created_before: Time | None
    is_finished: bool
    matched: int
    done: int
    failed: int
    created_at: Time
    finished_at: Time | None


class DeadLetter(TypedDict):
    """A message that the broker gave up on, or that cannot be used; it has its body only if that is included."""

    dead_letter_id: int
    received_at: Time
    queue: str
    reason: str
    description: str
    message_id: str | None
    delivery_count: int | None
    state: DeadLetterState
    resends: int
    handled_at: Time | None
    body: NotRequired[str | None]
    body_base64: NotRequired[str | None]


class Queue(TypedDict):
    """A queue of the app with its messages; null where they cannot be counted, and then `reason` says why."""

    queue: str
    transport: Transport
    active: int | None
    scheduled: int | None
    dead_lettered: int | None
    reason: str | None
    oldest_waiting_seconds: float | None


class Schedule(TypedDict):
    """A schedule of the app, with its last and its next tick."""

    name: str
    job_type: str
    cron: str
    timezone: str
    last_tick: Time | None
    last_job_id: str | None
    last_error: str | None
    next_tick: Time | None


class Health(TypedDict):
    """The state of each part: `ok`, its error, or `no answer`."""

    healthy: bool
    checks: Mapping[str, str]
