"""The failed tasks of a job, grouped by their cause."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.error_groups import ErrorGroup, group_of
from core.models import TaskError

MOST_READ_BATCHES = 50
"""The batches with failed tasks that one page reads: 5,000 tasks, with those that did not fail."""

MOST_READ_FAILURES = 1_000
"""A page reads no further batch after so many failed tasks: it takes some milliseconds to read and to group them."""


@dataclass(frozen=True)
class Failures:
    """The failed tasks with errors of one cause; the example is the first of them."""

    group: ErrorGroup
    tasks: int
    example: TaskError


def grouped(errors: Iterable[TaskError]) -> list[Failures]:
    """Groups errors by their cause, the most frequent first."""
    groups: dict[tuple[str, str], ErrorGroup] = {}
    counts: dict[ErrorGroup, int] = {}
    examples: dict[ErrorGroup, TaskError] = {}
    for error in errors:
        group = group_in(groups, error)
        counts[group] = counts.get(group, 0) + 1
        examples.setdefault(group, error)
    most_frequent_first = sorted(counts, key=lambda group: (-counts[group], group.id))
    return [Failures(group, counts[group], examples[group]) for group in most_frequent_first]


def group_in(known: dict[tuple[str, str], ErrorGroup], error: TaskError) -> ErrorGroup:
    """Returns the group of an error. Many tasks fail with one message, so `known` keeps the groups of those before."""
    key = error.type, error.message
    if key not in known:
        known[key] = group_of(*key)
    return known[key]


def tasks_of(group_id: str, errors: Iterable[TaskError]) -> list[str]:
    """Returns the ids of the tasks whose errors are of a group, in order."""
    groups: dict[tuple[str, str], ErrorGroup] = {}
    return [error.task_id for error in errors if group_in(groups, error).id == group_id]
