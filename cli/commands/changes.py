"""`lockstep cancel`, `retry` and `resume`."""

from typing import Annotated

import typer

from cli import output
from cli.commands.submitting import Watches, follow_to_the_end
from cli.exits import UsageError
from cli.session import AsJson, JobId, is_json, session
from client import Lockstep
from client.answers import Change


def cancel(ctx: typer.Context, job_id: JobId, *, as_json: AsJson = False) -> None:
    """Cancel a job: no further task starts."""
    with session(ctx).connect() as app:
        _show(ctx, app.cancel(job_id), as_json=as_json)


def retry(
    ctx: typer.Context,
    job_id: JobId,
    *,
    batch: Annotated[str | None, typer.Option(metavar="BATCH_ID", help="only the failed tasks of this batch")] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", metavar="TASK_ID", help="only this failed task; may be repeated")
    ] = None,
    error: Annotated[str | None, typer.Option(metavar="GROUP", help="only those of this cause, of `failures`")] = None,
    watches: Watches = False,
    as_json: AsJson = False,
) -> None:
    """Run the failed tasks of a job again, or some of them."""
    if sum(each is not None for each in (batch, tasks or None, error)) > 1:
        raise UsageError("--batch, --task and --error exclude each other")
    with session(ctx).connect() as app:
        change = app.retry(job_id, batch_id=batch, task_ids=tasks or None, error=error)
        _show_or_watch(ctx, app, change, watches=watches, as_json=as_json)


def resume(ctx: typer.Context, job_id: JobId, *, watches: Watches = False, as_json: AsJson = False) -> None:
    """Continue a cancelled job."""
    with session(ctx).connect() as app:
        _show_or_watch(ctx, app, app.resume(job_id), watches=watches, as_json=as_json)


def _show_or_watch(ctx: typer.Context, app: Lockstep, change: Change, *, watches: bool, as_json: bool) -> None:
    if watches:
        follow_to_the_end(ctx, app, change["job_id"], None, as_json=is_json(ctx, as_json))
    else:
        _show(ctx, change, as_json=as_json)


def _show(ctx: typer.Context, change: Change, *, as_json: bool) -> None:
    if is_json(ctx, as_json):
        output.write_json(change)
        return
    job_id = change["job_id"]
    output.write(f"{job_id} {change['status']}")
    if change["status"] != "cancelled":
        output.say(f"Watch it: {session(ctx).again(f'watch {job_id}')}")
