"""Long texts of jobs, as people read them."""

import pytest

from cli import output
from cli.commands import results, tasks
from client.answers import JobEvent, TaskDetails

WARNING = "3 of 5,000 tasks failed (first in 27a70a88a8ca7d676ad59d44f5f92654-s01-t0000416)."
ERROR = {"type": "MissingFileError", "message": "there is no file 'a.csv' in DATA_DIR"}


def test_a_terminal_breaks_a_long_text_between_words_so_that_ids_can_be_copied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    output.explain(WARNING)
    assert capsys.readouterr().err.splitlines() == [WARNING]
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    output.explain(WARNING)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rstrip() for line in lines] == [
        "3 of 5,000 tasks failed (first in",
        "27a70a88a8ca7d676ad59d44f5f92654-s01-t0000416).",
    ]


def test_a_command_to_copy_is_never_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    output.say(WARNING)
    assert capsys.readouterr().err.splitlines() == [WARNING]


@pytest.mark.parametrize("text", ["2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_text_of_a_job_that_only_looks_like_a_time_is_shown_as_it_is(text: str) -> None:
    assert str(output.cell(text)) == text


def test_the_errors_of_a_task_are_texts() -> None:
    first = {"attempt": 1, "at": "2020-01-02T03:04:05Z", **ERROR}
    task: TaskDetails = {"task_id": "t", "worker": None, "error": ERROR, "errors": [first, {**first, "attempt": 2}]}  # type: ignore[typeddict-item] # members that are shown as they are
    shown = tasks.readable(task)
    text = "MissingFileError: there is no file 'a.csv' in DATA_DIR"
    time = output.local_time("2020-01-02T03:04:05Z")
    assert shown == {
        "task_id": "t",
        "error": text,
        "errors": f"attempt 1, {time}: {text}\nattempt 2, {time}: {text}",
    }


def test_the_error_of_an_event_is_its_message() -> None:
    event: JobEvent = {
        "event_id": 1,
        "kind": "completed_with_errors",
        "stage": 1,
        "opening": 0,
        "subject": None,
        "details": {"error": {"type": "TasksFailedError", "message": WARNING}, "tasks": 5000},
        "times": 1,
        "at": "2020-01-02T03:04:05Z",
        "last_at": "2020-01-02T03:04:05Z",
    }
    assert results.line_of(event).endswith(f"  stage 1  completed with errors  error {WARNING}, tasks 5,000")
