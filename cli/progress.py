"""Shows how far a job has come: a bar for each stage on a terminal, else a line for each step."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cli.output import plain, rate
from client.answers import Job, Stage

_STEPS = 20
"""Lines of a stage where there is no terminal: one for each 5 %."""

_NOTE_CHARACTERS = 60
"""What a running task says stands at the end of the line of its stage."""


class JobProgress:
    """The progress of one job."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_live = console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            disable=not self._is_live,
        )
        self._bar_of: dict[int, TaskID] = {}
        self._shown: dict[int, tuple[str, int]] = {}
        self._status = ""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, job: Job) -> None:
        """Shows what has changed since the last time."""
        if job["status"] != self._status:
            self._status = job["status"]
            self._line(f"{job['job_type']} {job['status'].replace('_', ' ')}{_reason(job)}")
        for stage in job["stages"]:
            text = f"{_text(stage)}{_said(job, stage)}"
            if self._is_live:
                self._show_bar(stage, text)
            else:
                self._show_line(stage, text)

    def _show_bar(self, stage: Stage, text: str) -> None:
        bar = self._bar_of.get(stage["stage"])
        if bar is None:
            bar = self._bars.add_task(plain(stage["name"]), text="")
            self._bar_of[stage["stage"]] = bar
        self._bars.update(bar, total=total(stage), completed=ended(stage), text=plain(text))

    def _show_line(self, stage: Stage, text: str) -> None:
        step = (stage["status"], ended(stage) * _STEPS // max(total(stage), 1))
        if self._shown.get(stage["stage"]) != step:
            self._shown[stage["stage"]] = step
            self._line(f"{stage['name']:<12} {text}")

    def _line(self, text: str) -> None:
        self._console.print(plain(text), soft_wrap=True)


def ended(stage: Stage) -> int:
    """How many tasks of a stage have ended."""
    tasks = stage["tasks"]
    return tasks["completed"] + tasks["failed"] + tasks["cancelled"]


def total(stage: Stage) -> int:
    """How many tasks a stage has; while it is dispatched, those that are known."""
    return stage["tasks"]["created"] if stage["total_tasks"] is None else stage["total_tasks"]


def _text(stage: Stage) -> str:
    eta = "-" if stage["eta_seconds"] is None else f"{stage['eta_seconds']:.0f} s"
    failed = f"  {stage['tasks']['failed']:,} failed" if stage["tasks"]["failed"] else ""
    return (
        f"{ended(stage):>7,}/{total(stage):,} tasks  {stage['batches_queued']:,} batches queued{failed}  "
        f"{rate(stage['tasks_per_second'])}  ETA {eta}"
    )


def _said(job: Job, stage: Stage) -> str:
    """What a running task of a stage said last, on one line."""
    note = next((each for each in job.get("progress_notes", []) if each["stage"] == stage["stage"]), None)
    if note is None:
        return ""
    text = " ".join((note["progress_note"] or "").split())
    return f"  task {task_number(note['task_id'])}: {note['progress']:.0%} {text[:_NOTE_CHARACTERS]}".rstrip()


def task_number(task_id: str) -> int:
    """The number of a task in its stage, with which its id ends."""
    return int(task_id.rsplit("t", 1)[1])


def _reason(job: Job) -> str:
    waits = job["waits_for"]
    if waits is None:
        return ""
    reasons = [f"until {waits['start_at']}"] if waits["start_at"] else []
    reasons += [f"for {', '.join(waits['after'])}"] if waits["after"] else []
    reasons += [f"for the key {waits['exclusive_key']}"] if waits["exclusive_key"] else []
    return f" {' and '.join(reasons)}"
