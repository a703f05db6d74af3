"""What the app tells those who watch it: spans, numbers and ids of its work. Nothing, unless telemetry is configured.

`Telemetry` is the port and the implementation that tells nothing. `telemetry/` has the one for OpenTelemetry. What is
called here is called once for an invocation or a batch, never for a task, so nothing costs anything while it is off.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from core.backlog import BacklogNumbers
from core.lanes import Transport
from core.messages import JobMessage
from core.task_runs import ClaimedTask, RecordedTask, TaskOutcome

P = ParamSpec("P")
T = TypeVar("T")

TRACEPARENT = "traceparent"
"""The W3C trace context: a header of requests, and an application property of messages."""

DIAGNOSTIC_ID = "Diagnostic-Id"
"""The same in the older form of Azure's SDKs: the Functions host reads it unless it tells OpenTelemetry."""

RunCall = Callable[[Sequence[ClaimedTask]], list[TaskOutcome | None]]
"""Makes one call of a handler, for one task or a list of tasks of one type; None for a task that must be released."""

_NOTHING = nullcontext()


class Timed(StrEnum):
    """What is timed; the value is its name in the metrics."""

    CLAIM = "lockstep.claim.duration"
    RECORD = "lockstep.record.duration"


@dataclass(frozen=True)
class Incoming:
    """What came with the messages of an invocation.

    Attributes:
        traceparent: reads the trace context that the Functions host gives the invocation; None if it gives none.
        properties: reads the application properties of each message, or what stands for them.
        transport: what has brought the messages.
    """

    traceparent: Callable[[], str | None] = lambda: None
    properties: Callable[[], Iterable[Mapping[str, Any] | None]] = tuple
    transport: Transport = Transport.SERVICE_BUS


class Telemetry:
    """Tells nothing."""

    is_on = False
    """Whether numbers that only telemetry needs are worth a query."""

    def request(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Tells of an HTTP request that a block handles; its headers may name a trace."""
        return _NOTHING

    def job_accepted(self, job_id: str, job_type: str) -> None:
        """Begins the trace of a new job, and links it with the request that this thread handles."""

    def step(self, queue_name: str, message: JobMessage, incoming: Incoming) -> AbstractContextManager[None]:
        """Tells of the step of a job that a block takes, in the trace of the job."""
        return _NOTHING

    def invocation(self, queue_name: str, count: int, incoming: Incoming) -> AbstractContextManager[None]:
        """Tells of the invocation of a worker that a block is, and links it with what sent its messages."""
        return _NOTHING

    def calls(self, run: RunCall) -> RunCall:
        """Returns the function that makes the calls of handlers in an invocation; it tells of each."""
        return run

    def joined(self, action: Callable[P, T]) -> Callable[P, T]:
        """Returns an action for another thread, which belongs to what this thread works for."""
        return action

    def traceparent(self) -> str | None:
        """Returns the trace context of what this thread works for."""
        return None

    def job_traceparent(self, job_id: str) -> str | None:
        """Returns the context in which the trace of a job begins."""
        return None

    def sending(
        self, queue_name: str, count: int, transport: Transport = Transport.SERVICE_BUS
    ) -> AbstractContextManager[str | None]:
        """Tells of a send of messages that a block makes; gives it the trace context that they carry."""
        return _NOTHING

    def timed(self, what: Timed) -> AbstractContextManager[None]:
        """Tells how long a block takes."""
        return _NOTHING

    def recorded(self, outcomes: Sequence[TaskOutcome], tasks: Sequence[RecordedTask]) -> None:
        """Tells of recorded tasks, which are some of those that had outcomes."""

    def released(self, count: int) -> None:
        """Tells of tasks that were released."""

    def dead_letter(self, queue_name: str, reason: str) -> None:
        """Tells of a message that is kept as a dead letter."""

    def repaired(self, counts: Mapping[str, int]) -> None:
        """Tells of the rows that a sweep has repaired, by kind."""

    def backlog(self, numbers: BacklogNumbers, queue_ages: Mapping[str, float]) -> None:
        """Tells what waits, and by queue for how many seconds its oldest task has waited."""

    def flush(self) -> None:
        """Sends what was told, for at most some seconds."""


_current = Telemetry()


def telemetry() -> Telemetry:
    """Returns what this process tells its work to."""
    return _current


def use(instance: Telemetry) -> None:
    """Makes the process tell its work to an instance from now on."""
    global _current  # noqa: PLW0603 - one for each process, as with its loggers
    _current = instance
