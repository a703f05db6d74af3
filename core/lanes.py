"""The broker's queues, and which lane uses which."""

from enum import StrEnum

JOBS_QUEUE = "sb-jobs"
TASKS_QUEUE = "sb-tasks"
LONG_TASKS_QUEUE = "sb-tasks-long"


class Lane(StrEnum):
    """How the tasks of a type are consumed."""

    FAST = "fast"  # up to 100 messages per invocation; Functions does not renew their locks
    LONG = "long"  # one message per invocation; Functions renews its lock

    @property
    def queue(self) -> str:
        """The Service Bus queue of the lane."""
        return TASKS_QUEUE if self is Lane.FAST else LONG_TASKS_QUEUE
