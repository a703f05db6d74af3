"""The requests about the app and about many jobs, one function for each operation of the OpenAPI document."""

from collections.abc import Sequence
from typing import Any

from client.app_answers import (
    ActionProgress,
    BulkKind,
    DeadLetter,
    DeadLetterState,
    Health,
    JobCount,
    JobType,
    ListedAction,
    Queue,
    Schedule,
)
from client.calls import Call, json_of, path_part, query
from client.filters import JobFilter
from client.pages import Page, page_of, rows_of


def count_jobs(kind: BulkKind, where: JobFilter) -> Call[JobCount]:
    """Counts the jobs that a bulk action would be about."""
    return Call("POST", f"/jobs/{path_part(kind)}", json_of, query(**where.query(), dry_run=True))


def change_jobs(kind: BulkKind, where: JobFilter) -> Call[ActionProgress]:
    """Begins a bulk action."""
    return Call("POST", f"/jobs/{path_part(kind)}", json_of, query(**where.query()), is_repeatable=False)


def get_action(action_id: str) -> Call[ActionProgress]:
    """Shows how far a bulk action has come."""
    return Call("GET", f"/actions/{path_part(action_id)}", json_of)


def list_actions(*, limit: int | None = None, after: str | None = None) -> Call[Page[ListedAction]]:
    """Lists bulk actions, the newest first."""
    return Call("GET", "/actions", page_of("actions"), query(limit=limit, after=after))


def list_job_types() -> Call[list[JobType]]:
    """Lists the job types."""
    return Call("GET", "/job-types", rows_of("job_types"))


def list_queues() -> Call[list[Queue]]:
    """Lists the queues with their messages."""
    return Call("GET", "/queues", rows_of("queues"))


def list_schedules() -> Call[list[Schedule]]:
    """Lists the schedules."""
    return Call("GET", "/schedules", rows_of("schedules"))


def list_dead_letters(
    *,
    state: DeadLetterState | None = None,
    include: Sequence[str] = (),
    limit: int | None = None,
    before: int | None = None,
) -> Call[Page[DeadLetter]]:
    """Lists dead letters, the newest first."""
    parameters = query(state=state, include=include or None, limit=limit, before=before)
    return Call("GET", "/dead-letters", page_of("dead_letters"), parameters)


def get_dead_letter(dead_letter_id: int) -> Call[DeadLetter]:
    """Shows a dead letter with its body."""
    return Call("GET", f"/dead-letters/{dead_letter_id:d}", json_of)


def resend_dead_letter(dead_letter_id: int) -> Call[DeadLetter]:
    """Sends the message of a dead letter again."""
    return Call("POST", f"/dead-letters/{dead_letter_id:d}/resend", json_of, is_repeatable=False)


def discard_dead_letter(dead_letter_id: int) -> Call[DeadLetter]:
    """Marks a dead letter as handled."""
    return Call("POST", f"/dead-letters/{dead_letter_id:d}/discard", json_of)


def health() -> Call[Health]:
    """Shows whether the app can use its database and its broker."""
    return Call("GET", "/health", json_of, good=frozenset({200, 503}))


def get_openapi() -> Call[dict[str, Any]]:
    """Returns the OpenAPI document."""
    return Call("GET", "/openapi.json", json_of)
