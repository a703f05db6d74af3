"""Limits of a task type that hold across instances: how many of its tasks run at once, and how many start in a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.declared import require_number, require_type, require_whole_number
from core.lanes import Lane

MOST_RUNNING = 100_000

MOST_STARTS = 10_000
"""A row is kept for each start of the last `Rate.seconds`, and each claim of the type counts them."""

MOST_SECONDS = 86_400
"""A day, the shortest time that a job is kept after its end: so the rows of its starts go before it is deleted."""

MOST_WOKEN = 100
"""The most tasks that one transaction wakes: the messages of one Service Bus batch."""


@dataclass(frozen=True)
class Rate:
    """At most so many starts in any so many seconds.

    Attributes:
        starts: 1 to 10,000.
        seconds: 1 to 86,400, a day.
    """

    starts: int
    seconds: float

    def __post_init__(self) -> None:
        """Refuses a rate by which no task starts, or whose starts cannot be counted.

        Raises:
            ConfigurationError: names the wrong value and the right ones.
        """
        require_whole_number("Rate.starts", self.starts, 1, MOST_STARTS)
        require_number("Rate.seconds", self.seconds, 1, MOST_SECONDS)


@dataclass(frozen=True)
class TaskLimit:
    """The limits of a task type; None for no limit.

    Attributes:
        max_running: how many tasks of the type run at once.
        rate: how many of them start in a time.
    """

    max_running: int | None = None
    rate: Rate | None = None

    def __post_init__(self) -> None:
        """Refuses limits by which no task runs.

        Raises:
            ConfigurationError: names the wrong value and the right ones.
        """
        if self.max_running is not None:
            require_whole_number("max_running of a task type", self.max_running, 1, MOST_RUNNING)
        if self.rate is not None:
            require_type("rate of a task type", self.rate, Rate, "a Rate")

    @property
    def rate_seconds(self) -> float:
        """For how long a start counts; without any limit the longest time, for versions of the app that have one."""
        if self.rate is None:
            return 0 if self.max_running is not None else MOST_SECONDS
        return self.rate.seconds


NO_LIMIT = TaskLimit()


@dataclass(frozen=True)
class SlotUse:
    """What the tasks of a limited type use, while the type is locked.

    Attributes:
        now: the time of the database's clock.
        running: tasks that hold a slot: their lease is live.
        started: starts in the time of the rate.
        promised: parked tasks that were woken, and whose messages are under way.
        parked: whether any task is parked.
    """

    now: datetime
    running: int
    started: int
    promised: int
    parked: bool


@dataclass(frozen=True)
class Candidate:
    """A task of a limited type that may run if there is a slot; `promised` tells whether it was woken for one."""

    task_id: str
    promised: bool


@dataclass(frozen=True)
class WokenTask:
    """A parked task that was woken: its message must be sent.

    Attributes:
        task_id: the task.
        batch_id: its batch.
        lane: the lane of its message.
        urgent: whether its job is.
        send: the number of the message.
        due_at: when the message is due; None for at once.
    """

    task_id: str
    batch_id: str
    lane: Lane
    urgent: bool
    send: int
    due_at: datetime | None

    @property
    def queue(self) -> str:
        """The Service Bus queue for its message."""
        return self.lane.queue(urgent=self.urgent)


def admitted(limit: TaskLimit, use: SlotUse, candidates: Sequence[Candidate]) -> list[str]:
    """Returns the candidates that may start now: first those that were promised a slot, in their order.

    The others leave the slots free that are promised to tasks whose messages are still under way.
    """
    free = _free(limit, use)
    promised = [each.task_id for each in candidates if each.promised]
    others = [each.task_id for each in candidates if not each.promised]
    taken = promised[:free]
    reserved = max(use.promised - len(promised), 0)
    return taken + others[: max(free - len(taken) - reserved, 0)]


def blocking(limit: TaskLimit, use: SlotUse, admitted_tasks: int) -> str:
    """Names the limit that keeps further tasks from starting, once so many have been admitted."""
    if limit.rate is None or (limit.max_running and use.running + admitted_tasks >= limit.max_running):
        return "max_running"
    return "rate"


def to_wake(limit: TaskLimit, use: SlotUse) -> int:
    """Returns how many parked tasks may be woken: one for each slot that is neither held nor promised.

    A rate has a slot for each of its starts: a task is woken for the time when an earlier start stops to count.
    """
    slots = MOST_WOKEN + use.promised
    if limit.max_running is not None:
        slots = min(slots, limit.max_running - use.running)
    if limit.rate is not None:
        slots = min(slots, limit.rate.starts)
    return max(slots - use.promised, 0)


def first_expiring(limit: TaskLimit, use: SlotUse) -> int:
    """Returns how many of the starts that count, the oldest first, stop to count for tasks that are promised a slot."""
    return max(use.started + use.promised - limit.rate.starts, 0) if limit.rate else 0


def due_times(limit: TaskLimit, use: SlotUse, count: int, expiring: Sequence[datetime]) -> list[datetime | None]:
    """Returns when the next tasks may start; None for at once.

    A time is at least a second ahead: a broker whose clock is ahead would deliver the message again in a loop.

    Args:
        limit: the limits of the type.
        use: what is used of them.
        count: how many tasks, at most `to_wake`.
        expiring: the starts that count, the oldest first, from number `first_expiring` on; at least `count`, or all.
    """
    if limit.rate is None:
        return [None] * count
    at_once = max(limit.rate.starts - use.started - use.promised, 0)
    window = timedelta(seconds=limit.rate.seconds)
    soonest = use.now + timedelta(seconds=1)
    later = [max(start + window, soonest) for start in expiring[: max(count - at_once, 0)]]
    return [None] * min(at_once, count) + later


def _free(limit: TaskLimit, use: SlotUse) -> int:
    """Returns how many tasks may start now."""
    free = [
        *([limit.max_running - use.running] if limit.max_running is not None else []),
        *([limit.rate.starts - use.started] if limit.rate is not None else []),
    ]
    return max(min(free), 0)
