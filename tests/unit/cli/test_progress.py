"""Progress is a bar for each stage on a terminal, and lines without one."""

import io
from collections.abc import Mapping
from typing import Any, cast

import pytest
from rich.console import Console

from cli.progress import JobProgress
from client.answers import Job


def job(ended: int, total: int | None, of_stage: Mapping[str, Any] = {}, **members: Any) -> Job:
    counts = dict.fromkeys(["pending_queue", "queued", "processing", "retrying", "failed", "cancelled"], 0)
    stage = {
        "stage": 1,
        "name": "load",
        "status": "running",
        "total_tasks": total,
        "batches_queued": 7,
        "tasks": {**counts, "created": 500, "completed": ended},
        "tasks_per_second": 12.0,
        "eta_seconds": 90.0,
    }
    known = {"job_type": "sample", "status": "processing", "stage": 1, "waits_for": None}
    return cast("Job", {**known, "stages": [{**stage, **of_stage}], **members})


def shown(*jobs: Job, is_terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=is_terminal, width=120, no_color=True)
    with JobProgress(console) as progress:
        for each in jobs:
            progress.show(each)
    return file.getvalue()


def test_without_a_terminal_a_stage_has_a_line_for_each_twentieth() -> None:
    lines = shown(*(job(ended, 1000) for ended in range(0, 1001, 10)), is_terminal=False).splitlines()

    assert lines[0] == "sample processing"
    assert len(lines) == 1 + 21
    assert lines[2] == "load              50/1,000 tasks  7 batches queued  12 tasks/s  ETA 90 s"


def test_on_a_terminal_a_stage_has_a_bar_that_ends_with_the_last_state() -> None:
    text = shown(job(10, None), job(1000, 1000, {"eta_seconds": None}), is_terminal=True)

    assert "\x1b[" in text
    assert "━" in text
    assert "1,000/1,000 tasks  7 batches queued  12 tasks/s  ETA -" in text.rsplit("load", 1)[1]


def test_a_waiting_job_says_what_it_waits_for() -> None:
    waits = {"start_at": "2031-01-01T00:00:00+00:00", "after": ["a", "b"], "exclusive_key": "t", "key_holder": None}
    line = shown(job(0, 0, status="waiting", waits_for=waits, stages=[]), is_terminal=False)
    assert line == "sample waiting until 2031-01-01T00:00:00+00:00 and for a, b and for the key t\n"


@pytest.mark.parametrize(
    ("tasks_per_second", "text"),
    [
        (None, "-"),
        (1_234.5, "1,234 tasks/s"),
        (1.25, "1.2 tasks/s"),
        (0.5, "30 tasks/min"),
        (1 / 60, "1.0 tasks/min"),
        (0.00222, "8.0 tasks/h"),
    ],
)
def test_a_rate_has_the_unit_in_which_it_is_one_task_at_least(tasks_per_second: float | None, text: str) -> None:
    line = shown(job(1, 10, {"tasks_per_second": tasks_per_second}), is_terminal=False).splitlines()[1]
    assert f"batches queued  {text}  ETA 90 s" in line


def test_a_stage_says_what_a_task_of_it_said_last() -> None:
    def note(stage: int, text: str | None) -> dict[str, Any]:
        task_id = f"{'a' * 32}-s0{stage}-t0000012"
        return {"task_id": task_id, "stage": stage, "progress": 0.255, "progress_note": text, "progress_at": "then"}

    notes = [
        note(2, "of another stage"),
        note(1, f"reads\x1b[31m\na file{' and so on' * 20}"),
        note(1, "an earlier one"),
    ]
    line, plain = (
        shown(job(1, 10, progress_notes=each), is_terminal=False).splitlines()[1] for each in (notes, [note(1, None)])
    )
    said = line.split("  ETA 90 s  ")[1]
    assert said.startswith("task 12: 26% reads\N{REPLACEMENT CHARACTER}[31m a file and so on")
    assert len(said) < 80
    assert plain.endswith("ETA 90 s  task 12: 26%")
