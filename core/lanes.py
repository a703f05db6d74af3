"""Queues, and the lanes that lead to them."""

from enum import StrEnum

JOBS_QUEUE = "sb-jobs"
TASKS_QUEUE = "sb-tasks"
LONG_TASKS_QUEUE = "sb-tasks-long"


class Lane(StrEnum):
    """How a task type is consumed."""

    FAST = "fast"  # up to 100 messages an invocation; Functions does not renew their locks
    LONG = "long"  # one message an invocation, its lock renewed

    @property
    def queue(self) -> str:
        """The Service Bus queue of the lane."""
        return TASKS_QUEUE if self is Lane.FAST else LONG_TASKS_QUEUE
