"""`lockstep results` and `lockstep events`: what a job made, and what happened to it."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Annotated, Any

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
    with session(ctx).connect() as app, _opened(file, appends=after is not None) as write:
        try:
            for page in app.result_pages(job_id, stage=stage, after=after, csv=csv):
                write(page.text)
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
def _opened(file: Path | None, *, appends: bool) -> Iterator[Callable[[str], None]]:
    """Gives what writes a page of results."""
    if file is None:
        yield _print
        return
    try:
        target = file.open("ab" if appends else "wb", buffering=0)
    except OSError as exc:
        raise _not_written(str(file), exc) from exc
    with target:
        yield partial(_append, target)


def _append(target: FileIO, page: str) -> None:
    """Writes a page or nothing of it: its results are written again by the command that goes on."""
    whole = target.tell() if target.seekable() else None
    left = memoryview(page.encode())
    try:
        while left:
            left = left[target.write(left) :]
    except BrokenPipeError:
        raise  # as in `_print`
    except OSError as exc:
        if whole is not None:
            with suppress(OSError):
                target.truncate(whole)
        raise _not_written(str(target.name), exc) from exc


def _print(page: str) -> None:
    try:
        sys.stdout.write(page)
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # whoever reads has enough; typer ends without a word
    except OSError as exc:
        raise _not_written("standard output", exc) from exc


def _not_written(where: str, exc: OSError) -> UsageError:
    return UsageError(f"{where} cannot be written: {exc.strerror}")


def _told(value: Any) -> object:
    """A detail of an event: of an error, its message."""
    return value["message"] if isinstance(value, Mapping) and "message" in value else output.cell(value)
