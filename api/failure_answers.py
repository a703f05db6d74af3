"""The answers about the failed tasks of a job."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FailureGroup:
    """The failed tasks whose errors have one cause.

    `error` names the group in other requests; it stays the same from page to page and from job to job. `message` has
    `#` for each quoted text, number, id, path and URL. `tasks_url` lists the tasks; it is relative to the host.
    """

    error: str
    type: str
    message: str
    tasks: int
    example_task_id: str
    tasks_url: str


@dataclass(frozen=True)
class Failures:
    """The failed tasks of the next batches with any, by cause, the most frequent cause first.

    `failed_tasks` counts those of the whole job, `read_tasks` those that this page has read and counted. `next` is the
    `after` of the next page, null on the last one: a group may occur on several pages, and its counts add up.
    """

    failed_tasks: int
    read_tasks: int
    groups: Sequence[FailureGroup]
    next: str | None
