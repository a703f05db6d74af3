"""`lockstep submit` and `lockstep watch`."""

from datetime import datetime
from typing import Annotated

import typer

from cli import exits, output, parameters
from cli.progress import JobProgress
from cli.session import AsJson, JobId, Session, is_json, session
from client import Lockstep, LockstepError
from client.answers import Job

Watches = Annotated[bool, typer.Option("--watch", help="show the progress until the job has ended")]
Timeout = Annotated[float | None, typer.Option(help="seconds after which the command ends; the job runs on")]


def submit(
    ctx: typer.Context,
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="the job type, of `lockstep types`")],
    *,
    pairs: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="KEY=VALUE", help="a parameter; JSON, or text where it is none"),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="a JSON object of parameters; - for standard input")
    ] = None,
    watches: Watches = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="what makes this job another one than that of the same parameters")
    ] = None,
    start_at: Annotated[
        datetime | None,
        typer.Option(help="do not start before this time, of this machine's zone", formats=["%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    after: Annotated[list[str] | None, typer.Option(metavar="JOB_ID", help="start when this job has completed")] = None,
    urgent: Annotated[bool, typer.Option(help="let its short tasks overtake those of other jobs")] = False,
    timeout: Timeout = None,
) -> None:
    """Submit a job and print its id. Its parameters are checked before they are sent."""
    with session(ctx).connect() as app:
        known = parameters.find_type(app.job_types(), job_type)
        given = parameters.read_parameters(pairs or [], json_file, known["parameters"])
        parameters.check(known, given)
        submission = app.submit(
            job_type,
            given,
            idempotency_key=idempotency_key,
            start_at=start_at and start_at.astimezone(),
            after=after or (),
            urgent=urgent,
        )
        job_id = submission["job_id"]
        if not submission["created"]:
            output.say("This job existed already. Another --idempotency-key makes a new one.", "yellow")
        if watches:
            if not session(ctx).as_json:
                output.say(f"Job {job_id}")
            follow_to_the_end(ctx, app, job_id, timeout, as_json=is_json(ctx, as_json=False))
        elif session(ctx).as_json:
            output.write_json(submission)
        else:
            output.write(job_id)
            output.say(f"Job {submission['status']}. Watch it: {session(ctx).again(f'watch {job_id}')}")


def watch(ctx: typer.Context, job_id: JobId, *, timeout: Timeout = None, as_json: AsJson = False) -> None:
    """Show the progress of a job until it has ended. Ctrl-C leaves the job running."""
    with session(ctx).connect() as app:
        follow_to_the_end(ctx, app, job_id, timeout, as_json=is_json(ctx, as_json))


def follow_to_the_end(ctx: typer.Context, app: Lockstep, job_id: str, timeout: float | None, *, as_json: bool) -> None:
    """Shows the progress of a job and how it has ended, and exits with its code."""
    job = follow(session(ctx), app, job_id, timeout, as_json=as_json)
    if not as_json:
        show_outcome(job)
        if job["status"] in {"failed", "completed_with_errors"}:
            output.say(f"Why tasks failed: {session(ctx).again(f'failures {job_id}')}")
    raise typer.Exit(exits.of_job(job["status"]))


def follow(asked: Session, app: Lockstep, job_id: str, timeout: float | None, *, as_json: bool) -> Job:
    """Shows the progress of a job and returns it when it has ended."""
    last: Job | None = None
    try:
        with JobProgress(output.stderr()) as progress:
            for last in app.watch(job_id, timeout_seconds=timeout, progress_notes=True):
                if as_json:
                    output.write_json(last)
                else:
                    progress.show(last)
    except (KeyboardInterrupt, LockstepError) as exc:
        if last is not None or isinstance(exc, KeyboardInterrupt):
            output.say(f"The job runs on. Watch it again: {asked.again(f'watch {job_id}')}", "yellow")
        raise
    assert last is not None  # the flow ends with a job
    return last


def show_outcome(job: Job) -> None:
    """Writes how a job has ended: its result, its error, its warning."""
    output.say(f"Job {job['job_id']} ({job['job_type']}): {job['status'].replace('_', ' ')}", "bold")
    output.write_document(job["result"] if job["error"] is None else job["error"])
    if job["warning"] is not None:
        output.explain(str(job["warning"].get("message", job["warning"])), "yellow")
