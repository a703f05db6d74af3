"""`lockstep results` and `lockstep events`: what a job made, and what happened to it."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from cli import output
from cli.exits import UsageError
from cli.session import AsJson, JobId, is_json, session
from client import LockstepError
from client.answers import JobEvent

_STAGE_ENDS = {"finished", "failed", "cancelled"}


def results(
    ctx: typer.Context,
    job_id: JobId,
    *,
    file: Annotated[
        Path | None, typer.Option("-o", "--output", help="where to write; standard output if left out")
    ] = None,
    stage: Annotated[int | None, typer.Option(help="the number of the stage; the current one if left out")] = None,
    after: Annotated[int | None, typer.Option(help="go on after this task_index; -o then appends")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of NDJSON")] = False,
) -> None:
    """Write the results of a stage's tasks, a line each, in the order of the tasks."""
    status = None
    with session(ctx).connect() as app, _opened(file, appends=after is not None) as target:
        try:
            for page in app.result_pages(job_id, stage=stage, after=after, csv=csv):
                target.write(page.text)
                stage, after, status = page.stage, page.next, page.stage_status
        except (LockstepError, KeyboardInterrupt):
            if after is not None:
                options = (
                    f"--stage {stage} --after {after}"
                    + (" --csv" if csv else "")
                    + (f" -o {shlex.quote(str(file))}" if file else "")
                )
                output.say(f"Go on with: {session(ctx).again(f'results {job_id} {options}')}", "yellow")
            raise
    if status not in _STAGE_ENDS:
        output.say("The stage has not ended: more results follow, also between these.", "yellow")


def events(
    ctx: typer.Context,
    job_id: JobId,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="until the job has ended")] = False,
    as_json: AsJson = False,
) -> None:
    """List what happened to a job: steps, repairs, errors."""
    machine = is_json(ctx, as_json)
    with session(ctx).connect() as app:
        for event in app.events(job_id, follow=follow):
            if machine:
                output.write_json(event)
            else:
                output.write_prose(line_of(event))


def line_of(event: JobEvent) -> str:
    """The line of an event."""
    details = ", ".join(f"{name} {_told(value)}" for name, value in event["details"].items())
    times = f" ({event['times']} times)" if event["times"] > 1 else ""
    parts = [str(output.cell(event["last_at"])), f"stage {event['stage']}", event["kind"].replace("_", " ")]
    parts += [event["subject"]] if event["subject"] else []
    return "  ".join([*parts, details]).rstrip() + times


@contextmanager
def _opened(file: Path | None, *, appends: bool) -> Iterator[IO[str]]:
    if file is None:
        yield sys.stdout
    else:
        try:
            target = file.open("a" if appends else "w", encoding="utf-8", newline="")
        except OSError as exc:
            raise UsageError(f"{file} cannot be written: {exc.strerror}") from exc
        with target:
            yield target


def _told(value: Any) -> object:
    """A detail of an event: of an error, its message."""
    return value["message"] if isinstance(value, Mapping) and "message" in value else output.cell(value)
