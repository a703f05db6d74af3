"""The broker's queues, and the lanes that use them."""

from enum import StrEnum

JOBS_QUEUE = "sb-jobs"
TASKS_QUEUE = "sb-tasks"
LONG_TASKS_QUEUE = "sb-tasks-long"
URGENT_TASKS_QUEUE = "sb-tasks-urgent"
BATCHES_QUEUE = "sb-batches"
QUEUES = (JOBS_QUEUE, URGENT_TASKS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE, BATCHES_QUEUE)
"""All of the app, in the order in which they are shown."""

_POISON = "-poison"


def poison_queue(queue: str) -> str:
    """Returns the queue to which the Functions host moves the messages of a storage queue that it has given up on."""
    return queue + _POISON


class Transport(StrEnum):
    """What carries the messages of an app."""

    SERVICE_BUS = "service_bus"
    STORAGE = "storage"  # queues of a storage account


class Lane(StrEnum):
    """How workers receive the tasks of a type."""

    FAST = "fast"  # up to 100 messages per invocation; Functions does not renew their locks
    LONG = "long"  # one message per invocation; Functions renews its lock

    def queue(self, *, urgent: bool, enveloped: bool = False) -> str:
        """Returns the Service Bus queue of this lane's tasks, or of the envelopes of its batches.

        The urgent ones of the fast lane have a queue of their own, because Service Bus knows no priorities. Those of
        the long lane have none: with a second queue, an instance would run twice as many long tasks at once.
        """
        if enveloped:
            return BATCHES_QUEUE
        if self is Lane.LONG:
            return LONG_TASKS_QUEUE
        return URGENT_TASKS_QUEUE if urgent else TASKS_QUEUE


class MessagePer(StrEnum):
    """How many tasks of a stage share a message. Holds for the fast lane of jobs that are not urgent."""

    TASK = "task"  # a message for each task
    BATCH = "batch"  # one message, the envelope, for each aligned batch, in sb-batches
