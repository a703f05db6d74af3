"""Shows a job's progress and its result on a terminal."""

import json
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_QUERIES = (
    "SELECT batch_id, task_count, status, queued_at FROM batches WHERE job_id = 'JOB_ID' ORDER BY stage, batch_index;",
    "SELECT stage, status, count(*) FROM tasks WHERE parent_job_id = 'JOB_ID' GROUP BY stage, status;",
)


class JobProgress:
    """One live line per stage of a job: tasks done, batches queued, tasks/s, ETA.

    When `console` is not a terminal, only the last state of each line is printed.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:>7,.0f}/{task.total:,.0f} tasks"),
            TextColumn("{task.fields[batches]} batches queued  {task.fields[rate]} tasks/s  ETA {task.fields[eta]}"),
            console=console,
        )
        self._lines: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: dict[str, Any]) -> None:
        """Updates the lines from an answer of the jobs API."""
        for stage in job["stages"]:
            tasks = stage["tasks"]
            line = self._lines.get(stage["stage"])
            if line is None:
                line = self._progress.add_task(stage["name"], total=0, batches=0, rate=0, eta="-")
                self._lines[stage["stage"]] = line
            is_current = stage["stage"] == job["stage"] and job["eta_seconds"] is not None
            self._progress.update(
                line,
                total=stage["total_tasks"] if stage["total_tasks"] is not None else tasks["created"],
                completed=tasks["completed"] + tasks["failed"] + tasks["cancelled"],
                batches=stage["batches_queued"],
                rate=f"{stage['tasks_per_second']:,.0f}",
                eta=f"{job['eta_seconds']:.0f} s" if is_current else "-",
            )


def print_result(console: Console, job: dict[str, Any]) -> None:
    """Prints the job's status and result, and SQL queries for its rows."""
    console.print(f"\nJob {job['job_id']} ({job['job_type']}): [bold]{job['status']}[/bold]")
    outcome = job["result"] if job["error"] is None else job["error"]
    console.print_json(json.dumps(outcome))
    if job["warning"] is not None:
        console.print(job["warning"]["message"], highlight=False, markup=False)
    console.print("\nThe rows stay in PostgreSQL. `make local` starts it and prints its URL. Try:", highlight=False)
    for query in _QUERIES:
        console.print(f"  {query.replace('JOB_ID', job['job_id'])}", highlight=False, soft_wrap=True)
