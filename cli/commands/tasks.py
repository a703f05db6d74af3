"""`lockstep batches`, `tasks`, `task`, `failures`: what a job is made of, and why parts of it failed."""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, cast, get_args

import typer

from cli import output
from cli.commands.jobs import Limit
from cli.exits import UsageError
from cli.session import AsJson, JobId, is_json, session
from client.answers import FailureGroup, Failures, TaskDetails, TaskStatus

_JOB_ID_LENGTH = 32
_FAILURE_PAGES = 10
"""About 10,000 failed tasks."""

_BATCHES = {
    "BATCH": "batch_id",
    "STAGE": "stage",
    "STATUS": "status",
    "TASKS": "task_count",
    "OPEN": "open_tasks",
    "FAILED": "failed_tasks",
    "QUEUED": "queued_at",
    "FINISHED": "finished_at",
}
_TASKS = {
    "TASK": "task_id",
    "TYPE": "task_type",
    "STATUS": "status",
    "FAILURES": "failures",
    "WORKER": "worker",
    "FINISHED": "finished_at",
    "ERROR": "error_text",
}
_FAILED_TASKS = {"TASK": "task_id", "ERROR": "error_text"}
"""The rest is of no use while a cause is looked for, and takes the place of the error."""

_FAILURES = {"ERROR": "error", "TASKS": "tasks", "TYPE": "type", "MESSAGE": "message", "EXAMPLE": "example_task_id"}


def batches(ctx: typer.Context, job_id: JobId, *, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List the batches of a job."""
    with session(ctx).connect() as app:
        found = islice(app.batches(job_id), limit or None)
        output.write_rows(found, _BATCHES, as_json=is_json(ctx, as_json))


def tasks(
    ctx: typer.Context,
    job_id: JobId,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="the same as --status failed")] = False,
    status: Annotated[str | None, typer.Option(help="only tasks with this status")] = None,
    error: Annotated[str | None, typer.Option(help="only failed tasks of this group, of `lockstep failures`")] = None,
    batch: Annotated[str | None, typer.Option(metavar="BATCH_ID", help="only tasks of this batch")] = None,
    payload: Annotated[bool, typer.Option("--payload", help="with parameters and results; needs --json")] = False,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the tasks of a job."""
    wanted = "failed" if failed else status
    if wanted is not None and wanted not in get_args(TaskStatus):
        raise UsageError(f"--status: {wanted!r} is none of {', '.join(get_args(TaskStatus))}")
    machine = is_json(ctx, as_json)
    with session(ctx).connect() as app:
        found = app.tasks(
            job_id,
            status=cast("TaskStatus | None", wanted),
            error=error,
            batch=batch,
            include=("parameters", "result") if payload else (),
            page_size=min(limit or 1000, 1000),
        )
        shown = islice(found, limit or None)
        if machine:
            output.write_rows(shown, _TASKS, as_json=True)
        else:
            rows = [{**task, "error_text": (task["error"] or {}).get("message")} for task in shown]
            only_failed = wanted == "failed" or error is not None
            output.write_rows(rows, _FAILED_TASKS if only_failed else _TASKS, as_json=False)


def task(
    ctx: typer.Context,
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="the id of the task; it begins with its job's id")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show all of a task: parameters, result, checkpoint, the errors of its attempts, worker, times."""
    with session(ctx).connect() as app:
        found = app.task(task_id[:_JOB_ID_LENGTH], task_id)
    if is_json(ctx, as_json):
        output.write_json(found)
    else:
        output.write_members(readable(found))


def failures(
    ctx: typer.Context,
    job_id: JobId,
    *,
    everything: Annotated[bool, typer.Option("--all", help="read all failed tasks, not the first 10,000")] = False,
    as_json: AsJson = False,
) -> None:
    """Group the failed tasks of a job by cause."""
    machine = is_json(ctx, as_json)
    with session(ctx).connect() as app:
        pages = list(islice(app.failures(job_id), None if everything else _FAILURE_PAGES))
    found = groups(pages)
    if found or machine:
        output.write_rows(found, _FAILURES, as_json=machine)
    else:
        output.say("No task has failed.")
    read = sum(page["read_tasks"] for page in pages)
    if read < pages[-1]["failed_tasks"]:
        output.say(f"{read:,} of {pages[-1]['failed_tasks']:,} failed tasks were read; --all reads all", "yellow")
    if found and not machine:
        output.say("Retry one cause: " + session(ctx).again(f"retry {job_id} --error {found[0]['error']}"))


def groups(pages: Iterable[Failures]) -> list[FailureGroup]:
    """Adds up the groups of pages, the most frequent one first."""
    found: dict[str, FailureGroup] = {}
    for group in (group for page in pages for group in page["groups"]):
        counted = found.get(group["error"])
        found[group["error"]] = group if counted is None else {**counted, "tasks": counted["tasks"] + group["tasks"]}
    return sorted(found.values(), key=lambda group: -group["tasks"])


def readable(task: TaskDetails) -> dict[str, Any]:
    """What is known of a task, with its errors as text."""
    shown = {name: value for name, value in task.items() if value is not None}
    if task["error"] is not None:
        shown["error"] = _error(task["error"])
    told = [f"attempt {each['attempt']}, {output.local_time(each['at'])}: {_error(each)}" for each in task["errors"]]
    return {**shown, "errors": "\n".join(told) or None}


def _error(error: Mapping[str, Any]) -> str:
    return f"{error['type']}: {error['message']}" if {"type", "message"} <= error.keys() else json.dumps(error)
