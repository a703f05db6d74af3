"""`python -m local`: run Lockstep on this machine, without Azure."""

import json
import logging
import signal
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from cli import output
from cli.commands.submitting import show_outcome
from cli.progress import JobProgress
from cli.session import say_error
from client import Lockstep, LockstepError
from client.answers import Job
from local.azurite import AzuriteError
from local.functions_host.errors import HostStartError
from local.postgres import EmbeddedPostgresError
from local.service_bus.process import EmulatorError
from local.stack import (
    AMQP_PORT,
    EMULATOR_HTTP_PORT,
    POSTGRES_PORT,
    ROOT,
    Stack,
    StackInUseError,
    running_services,
    running_stack,
)

_SAMPLE = {"source": "airports.csv", "chunk_bytes": 640}
_POLL_SECONDS = 0.2
_QUERIES = (
    "SELECT batch_id, task_count, status, queued_at FROM batches WHERE job_id = 'JOB_ID' ORDER BY stage, batch_index;",
    "SELECT stage, status, count(*) FROM tasks WHERE parent_job_id = 'JOB_ID' GROUP BY stage, status;",
)
_START_ERRORS = (StackInUseError, EmbeddedPostgresError, EmulatorError, AzuriteError, HostStartError)

StateDir = Annotated[Path, typer.Option(help="directory of the database and the logs")]
StorageQueues = Annotated[
    bool,
    typer.Option("--storage-queues", help="queues of Azure Storage (Azurite, make azurite) instead of Service Bus"),
]

cli = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
console = Console()


@cli.command()
def run(
    job_type: Annotated[str, typer.Argument(help="the job type to submit")] = "ingest_csv",
    parameters: Annotated[str, typer.Option(help="the job's parameters, a JSON object")] = json.dumps(_SAMPLE),
    timeout: Annotated[float, typer.Option(help="fail when the job has not ended after this many seconds")] = 600.0,
    state_dir: StateDir = ROOT / ".local",
    storage_queues: StorageQueues = False,  # noqa: FBT002 - typer makes an option of it
) -> None:
    """Start the stack, run one job through it over HTTP, and stop the stack."""

    def use(stack: Stack) -> int:
        job = _run_job(stack.base_url, job_type, json.loads(parameters), timeout)
        show_outcome(job)
        _say("\nThe rows stay in PostgreSQL. `make local` starts it and prints its URL. Try:")
        for query in _QUERIES:
            _say(f"  {query.replace('JOB_ID', job['job_id'])}")
        return 0 if job["status"] == "completed" else 1

    raise typer.Exit(_with_stack(state_dir, use, storage_queues=storage_queues))


@cli.command()
def up(
    state_dir: StateDir = ROOT / ".local",
    storage_queues: StorageQueues = False,  # noqa: FBT002 - as above
) -> None:
    """Start the stack and keep it running until Ctrl-C."""

    def use(stack: Stack) -> int:
        _say(
            f"\nTry:  curl -i -X POST {stack.base_url}/api/jobs/hello_world -d '{{\"n\": 1000}}'\n"
            f"or:   .venv/bin/lockstep --url {stack.base_url} submit hello_world -p n=1000 --watch\n"
            "Ctrl-C stops it."
        )
        threading.Event().wait()
        return 0

    raise typer.Exit(_with_stack(state_dir, use, storage_queues=storage_queues))


@cli.command()
def services(
    postgres_port: Annotated[int, typer.Option(help="port of PostgreSQL")] = POSTGRES_PORT,
    amqp_port: Annotated[int, typer.Option(help="AMQP port of Service Bus")] = AMQP_PORT,
    http_port: Annotated[int, typer.Option(help="port of its /health and /queues")] = EMULATOR_HTTP_PORT,
    state_dir: StateDir = ROOT / ".local",
) -> None:
    """Start only PostgreSQL and Service Bus, for use with `func start`, and keep them running until Ctrl-C."""

    def use() -> int:
        with running_services(state_dir, postgres_port, amqp_port, http_port) as running:
            settings = {"DATABASE_URL": running.database_url, "ServiceBusConnection": running.service_bus}
            _say(f"{json.dumps(settings, indent=2)}\nAdd these to Values in local.settings.json. Press Ctrl-C to stop.")
            threading.Event().wait()
        return 0

    raise typer.Exit(_run_command(use))


def _run_job(base_url: str, job_type: str, parameters: dict[str, Any], timeout: float) -> Job:
    """Submits a job, a new one each time, and shows its progress as `lockstep watch` does."""
    with Lockstep(base_url) as app, JobProgress(output.stderr()) as progress:
        job_id = app.submit(job_type, parameters, idempotency_key=uuid.uuid4().hex)["job_id"]
        for job in app.watch(job_id, timeout_seconds=timeout, poll_seconds=_POLL_SECONDS):
            progress.show(job)
    return job


def _with_stack(state_dir: Path, use: Callable[[Stack], int], *, storage_queues: bool) -> int:
    def use_stack() -> int:
        with running_stack(state_dir, _say, storage_queues=storage_queues) as stack:
            return use(stack)

    return _run_command(use_stack)


def _run_command(use: Callable[[], int]) -> int:
    """Runs `use` and returns the exit code; prints errors without a traceback, and stops on Ctrl-C or SIGTERM."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return use()
    except _START_ERRORS as exc:
        _say(f"[red]Error:[/red] {exc}")
        return 1
    except LockstepError as exc:
        say_error(exc)
        return 1
    except json.JSONDecodeError as exc:
        _say(f"[red]Error:[/red] --parameters is not JSON: {exc}")
        return 2
    except KeyboardInterrupt:
        _say("Stopped.")
        return 130


def _say(line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    cli()
