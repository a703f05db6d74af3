"""`python -m local`: Lockstep on this machine, without a cloud."""

import json
import logging
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from local.functions_host.errors import HostStartError
from local.jobs_client import JobRequestError, JobsClient, JobTimeoutError
from local.postgres import EmbeddedPostgresError
from local.progress import JobProgress, print_result
from local.service_bus.process import EmulatorError
from local.stack import ROOT, Stack, StackInUseError, running_stack

_SAMPLE = {"source": "airports.csv", "chunk_bytes": 640}
_START_ERRORS = (StackInUseError, EmbeddedPostgresError, EmulatorError, HostStartError)

StateDir = Annotated[Path, typer.Option(help="where the database and the logs are kept")]

cli = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
console = Console()


@cli.command()
def run(
    job_type: Annotated[str, typer.Argument(help="the job type to submit")] = "ingest_csv",
    parameters: Annotated[str, typer.Option(help="its parameters as a JSON object")] = json.dumps(_SAMPLE),
    timeout: Annotated[float, typer.Option(help="seconds after which the job counts as hung")] = 600.0,
    state_dir: StateDir = ROOT / ".local",
) -> None:
    """Start the stack, run one real job through it over HTTP, and end everything."""

    def use(stack: Stack) -> int:
        with closing(JobsClient(stack.base_url)) as client, JobProgress(console) as progress:
            job_id = client.submit(job_type, json.loads(parameters))
            job = client.wait(job_id, timeout, progress.show)
        print_result(console, job)
        return 0 if job["status"] == "completed" else 1

    raise typer.Exit(_with_stack(state_dir, use))


@cli.command()
def up(state_dir: StateDir = ROOT / ".local") -> None:
    """Start the stack and keep it up until Ctrl-C."""

    def use(stack: Stack) -> int:
        console.print(
            f"\nTry:  curl -i -X POST {stack.base_url}/api/jobs/hello_world -d '{{\"n\": 1000}}'\nCtrl-C ends it.",
            highlight=False,
            soft_wrap=True,
        )
        threading.Event().wait()
        return 0

    raise typer.Exit(_with_stack(state_dir, use))


def _with_stack(state_dir: Path, use: Callable[[Stack], int]) -> int:
    logging.basicConfig(format="%(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with running_stack(state_dir, lambda line: console.print(line, highlight=False, soft_wrap=True)) as stack:
            return use(stack)
    except (*_START_ERRORS, JobRequestError, JobTimeoutError) as exc:
        console.print(f"[red]Error:[/red] {exc}", highlight=False, soft_wrap=True)
        return 1
    except json.JSONDecodeError as exc:
        console.print(f"[red]Error:[/red] --parameters is not JSON: {exc}", highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print("Ended.")
        return 130


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    cli()
