"""The broker's queues, and the lanes that use them."""

from enum import StrEnum

JOBS_QUEUE = "sb-jobs"
TASKS_QUEUE = "sb-tasks"
LONG_TASKS_QUEUE = "sb-tasks-long"


class Lane(StrEnum):
    """How workers receive the tasks of a type."""

    FAST = "fast"  # up to 100 messages per invocation; Functions does not renew their locks
    LONG = "long"  # one message per invocation; Functions renews its lock

    @property
    def queue(self) -> str:
        """The Service Bus queue of the lane."""
        return TASKS_QUEUE if self is Lane.FAST else LONG_TASKS_QUEUE
