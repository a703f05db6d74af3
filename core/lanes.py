"""The broker's queues, and the lanes that use them."""

from enum import StrEnum

JOBS_QUEUE = "sb-jobs"
TASKS_QUEUE = "sb-tasks"
LONG_TASKS_QUEUE = "sb-tasks-long"
URGENT_TASKS_QUEUE = "sb-tasks-urgent"


class Lane(StrEnum):
    """How workers receive the tasks of a type."""

    FAST = "fast"  # up to 100 messages per invocation; Functions does not renew their locks
    LONG = "long"  # one message per invocation; Functions renews its lock

    def queue(self, *, urgent: bool) -> str:
        """Returns the Service Bus queue of this lane's tasks.

        The urgent ones of the fast lane have a queue of their own, because Service Bus knows no priorities. Those of
        the long lane have none: with a second queue, an instance would run twice as many long tasks at once.
        """
        if self is Lane.LONG:
            return LONG_TASKS_QUEUE
        return URGENT_TASKS_QUEUE if urgent else TASKS_QUEUE
