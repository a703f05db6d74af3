"""`lockstep bulk`: cancels, retries or deletes many jobs, and tells how far that has come."""

from itertools import islice
from typing import Annotated

import typer

from cli import output
from cli.commands.jobs import CreatedBefore, CreatedFrom, JobType, Limit, Statuses, job_filter
from cli.exits import ExitCode
from cli.session import AsJson, is_json, session
from client import JobFilter
from client.app_answers import ActionProgress, BulkKind

group = typer.Typer(help="Cancel, retry or delete many jobs.", no_args_is_help=True)

DryRun = Annotated[bool, typer.Option("--dry-run", help="only count the jobs")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]


_ACTIONS = {
    "ACTION": "action_id",
    "WHAT": "action",
    "TYPE": "job_type",
    "STATUSES": "statuses",
    "JOBS": "matched",
    "DONE": "done",
    "REFUSED": "failed",
    "BEGUN": "created_at",
    "FINISHED": "finished_at",
}


def actions(ctx: typer.Context, *, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List the bulk actions of the last month at least, the newest first."""
    with session(ctx).connect() as app:
        found = islice(app.actions(page_size=min(limit or 1000, 1000)), limit or None)
        output.write_rows(found, _ACTIONS, as_json=is_json(ctx, as_json))


def _add(kind: BulkKind, text: str) -> None:
    def command(
        ctx: typer.Context,
        *,
        job_type: JobType = None,
        statuses: Statuses = None,
        created_from: CreatedFrom = None,
        created_before: CreatedBefore = None,
        dry_run: DryRun = False,
        yes: Yes = False,
        as_json: AsJson = False,
    ) -> None:
        where = job_filter(job_type, statuses, created_from, created_before)
        _change(ctx, kind, where, dry_run=dry_run, yes=yes, as_json=is_json(ctx, as_json))

    group.command(kind, help=text)(command)


_add("cancel", "Cancel the jobs of a filter.")
_add("retry", "Run the failed tasks of the jobs of a filter again.")
_add("delete", "Delete the jobs of a filter that have ended, with their tasks.")


def _change(ctx: typer.Context, kind: BulkKind, where: JobFilter, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    with session(ctx).connect() as app:
        count = app.count_jobs(kind, where)
        if dry_run and as_json:
            output.write_json(count)
        elif dry_run:
            output.write(f"{count['matched']:,} jobs")
        if dry_run:
            return
        if not yes:
            typer.confirm(f"{kind} {count['matched']:,} jobs?", abort=True, err=True)
        begun = action = app.change_jobs(kind, where)
        for action in app.watch_action(begun["action_id"]):
            if as_json:
                output.write_json(action)
            else:
                output.say(f"{action['done']:,} of {action['matched']:,} jobs, {action['failed']:,} refused")
    _end(action)


def _end(action: ActionProgress) -> None:
    for refusal in action["failures"]:
        output.say(f"  {refusal['job_id']}: {refusal['reason']}")
    if action["failed"]:
        raise typer.Exit(ExitCode.REFUSED)
