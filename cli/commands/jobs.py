"""`lockstep jobs`, `show`, `open`: which jobs there are, and what is known about one."""

import webbrowser
from datetime import datetime
from itertools import islice
from typing import Annotated, cast

import typer

from cli import output
from cli.exits import UsageError
from cli.session import AsJson, JobId, is_json, session
from client import InvalidInputError, JobFilter, Lockstep
from client.answers import Job, JobStatus
from client.job_flows import refuses_include

JobType = Annotated[str | None, typer.Option("--type", help="only jobs of this type")]
Statuses = Annotated[str | None, typer.Option("--status", help="only jobs in one of these, separated by commas")]
Limit = Annotated[int, typer.Option(min=0, help="the most rows; 0 for all")]
CreatedFrom = Annotated[datetime | None, typer.Option("--from", help="only jobs created at this time or later")]
CreatedBefore = Annotated[datetime | None, typer.Option("--before", help="only jobs created before this time")]

_MONITOR = "/api/monitor"
_COLUMNS = {
    "JOB": "job_id",
    "TYPE": "job_type",
    "STATUS": "status",
    "STAGE": "stage_name",
    "DONE": "done",
    "FAILED": "failed_tasks",
    "CREATED": "created_at",
}
_SHOWN = (
    "job_id",
    "job_type",
    "status",
    "urgent",
    "parameters",
    "waits_for",
    "created_at",
    "started_at",
    "finished_at",
)


def jobs(
    ctx: typer.Context,
    *,
    job_type: JobType = None,
    statuses: Statuses = None,
    created_from: CreatedFrom = None,
    created_before: CreatedBefore = None,
    text: Annotated[str | None, typer.Option(help="only jobs with this text in their parameters")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    where = job_filter(job_type, statuses, created_from, created_before)
    with session(ctx).connect() as app:
        found = islice(app.jobs(where, text=text, page_size=min(limit or 1000, 1000)), limit or None)
        if is_json(ctx, as_json):
            output.write_rows(found, _COLUMNS, as_json=True)
        else:
            rows = [{**job, "done": f"{job['progress']:.0%}"} for job in found]
            output.write_rows(rows, _COLUMNS, as_json=False)


def show(ctx: typer.Context, job_id: JobId, *, as_json: AsJson = False) -> None:
    """Show a job: parameters, stages with counts and rate, what its running tasks say, result or error."""
    with session(ctx).connect() as app:
        job = _job(app, job_id)
    if is_json(ctx, as_json):
        output.write_json(job)
    else:
        _show(job)


def _job(app: Lockstep, job_id: str) -> Job:
    try:
        return app.job(job_id, progress_notes=True)
    except InvalidInputError as exc:
        if not refuses_include(exc):
            raise
        return app.job(job_id)


def open_page(
    ctx: typer.Context,
    job_id: Annotated[str | None, typer.Argument(metavar="[JOB_ID]", help="of the job to open")] = None,
) -> None:
    """Open the monitor page in a browser, and print its URL. The page asks for the key."""
    with session(ctx).connect() as app:
        url = f"{app.url}{_MONITOR}" + (f"#/jobs/{job_id}" if job_id else "")
    output.write(url)
    webbrowser.open(url)


def job_filter(
    job_type: str | None, statuses: str | None, created_from: datetime | None, created_before: datetime | None
) -> JobFilter:
    """Makes a filter of options; times are of this machine's zone.

    Raises:
        UsageError: an unknown status.
    """
    named = None if statuses is None else [each.strip() for each in statuses.split(",")]
    known = JobStatus.__args__  # type: ignore[attr-defined] # the values of a Literal
    if unknown := [each for each in named or () if each not in known]:
        raise UsageError(f"--status: {unknown[0]!r} is none of {', '.join(known)}")
    return JobFilter(
        job_type,
        cast("list[JobStatus] | None", named),
        created_from and created_from.astimezone(),
        created_before and created_before.astimezone(),
    )


def _show(job: Job) -> None:
    output.write_members({name: job[name] for name in _SHOWN if job[name] is not None})  # type: ignore[literal-required]
    output.write("")
    rows = [
        {**stage, **stage["tasks"], "stage_status": stage["status"], "rate": output.rate(stage["tasks_per_second"])}
        for stage in job["stages"]
    ]
    columns = {"STAGE": "stage", "NAME": "name", "STATUS": "stage_status", "TASKS": "created"}
    columns |= {"DONE": "completed", "FAILED": "failed", "CANCELLED": "cancelled", "RATE": "rate"}
    output.write_rows(rows, columns, as_json=False)
    if job["eta_seconds"] is not None:
        output.write(f"ETA {job['eta_seconds']:.0f} s")
    if job.get("progress_notes"):
        output.write("\nrunning")
        notes = [{**note, "done": f"{note['progress']:.0%}"} for note in job["progress_notes"]]
        columns = {"TASK": "task_id", "DONE": "done", "SAID": "progress_note", "AT": "progress_at"}
        output.write_rows(notes, columns, as_json=False)
    for name in ("result", "error"):
        if job[name] is not None:
            output.write(f"\n{name}")
            output.write_document(job[name])
    if job["warning"] is not None:
        output.write("\nwarning")
        output.write_prose(str(job["warning"].get("message", job["warning"])))
