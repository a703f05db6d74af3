"""Handlers that take many tasks in one call."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from controllers.context import Handler, JsonValue, TaskContext, TaskParameters
from core.errors import BatchHandlerError


@dataclass(frozen=True)
class TaskItem:
    """One of the tasks that a batch handler gets: what a handler of one task gets as two arguments."""

    context: TaskContext
    parameters: TaskParameters


TaskItems = Sequence[TaskItem]
"""1 to 100 tasks of one type and one stage of a job, in the order of their indexes."""

ItemOutcomes = Iterable[JsonValue]
"""One outcome for each item, in the order of the items: a JSON-able result, or an exception instance."""

BatchHandler = Callable[[TaskItems], ItemOutcomes]
"""A handler of many tasks: returns a list of their outcomes, or yields them one by one."""


def outcomes_of(handler: BatchHandler, items: TaskItems) -> Iterator[JsonValue]:
    """Calls a batch handler, and yields each outcome as the handler gives it.

    Raises:
        BatchHandlerError: the handler gives something else than outcomes, or fewer or more than there are items.
    """
    given = handler(items)
    if not isinstance(given, Iterator | Sequence) or isinstance(given, str | bytes):
        raise BatchHandlerError(
            f"the batch handler returned a value of type {type(given).__name__}; "
            "it must return a list with one outcome for each item, or yield them"
        )
    count = 0
    for count, outcome in enumerate(given, start=1):
        if count > len(items):
            raise BatchHandlerError(f"the batch handler gave more than {len(items)} outcomes for {len(items)} items")
        yield outcome
    if count < len(items):
        raise BatchHandlerError(f"the batch handler gave {count} outcomes for {len(items)} items")


def one_by_one(handler: BatchHandler) -> Handler:
    """Makes a handler of one task: it calls the batch handler with a list of one."""

    def handle(context: TaskContext, parameters: TaskParameters) -> JsonValue:
        (outcome,) = outcomes_of(handler, [TaskItem(context, parameters)])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return handle
