"""The log lines that a collector gets: with the ids of what they are about, and without secrets."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.lanes import TASKS_QUEUE
from telemetry.logs import ids_of
from tests.support.collector import Collector, SentLine
from tests.support.sample_jobs import TASK_TYPE, counted, sample_job
from tests.unit.telemetry.conftest import Watch

JOB = "0123456789abcdef0123456789abcdef"
SECRET = "hunter2-is-the-password"

author = logging.getLogger("author")


def line(collector: Collector, text: str) -> SentLine:
    (found,) = [each for each in collector.lines if text in each.text]
    return found


def of_handler(watch: Watch, handler: Any) -> tuple[Collector, str]:
    it = watch(sample_job(counted(1), handler))
    it.submit()
    it.pump()
    told = it.told()
    return told, told.span("job sample").trace_id


def test_a_line_of_a_handler_has_the_ids_of_its_task_and_its_span(watch: Watch) -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        author.warning("reading %s", "a file")
        return None

    told, job_id = of_handler(watch, handler)
    sent = line(told, "reading a file")
    assert (sent.severity, sent.logger) == ("WARNING", "author")
    assert (sent.trace_id, sent.span_id) == told.span(f"run {TASK_TYPE}").place
    assert sent.attributes == {
        "lockstep.job.id": job_id,
        "lockstep.stage": 1,
        "lockstep.batch.id": f"{job_id}-s1-b0",
        "lockstep.task.id": f"{job_id}-s01-t0000000",
    }


def test_a_line_of_a_step_has_the_ids_of_its_stage(watch: Watch) -> None:
    told, job_id = of_handler(watch, lambda *_: None)
    dispatched = line(told, "is dispatched")
    assert dispatched.attributes == {"lockstep.job.id": job_id, "lockstep.stage": 1}
    assert dispatched.trace_id == job_id
    assert line(told, "accepted").attributes == {"lockstep.job.id": job_id}


def _fail() -> None:
    raise ValueError(f"https://files.example/a?sig={SECRET}")


def test_an_exception_is_sent_with_its_redacted_traceback(watch: Watch) -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        try:
            _fail()
        except ValueError:
            author.exception("reading https://me:%s@files.example failed", SECRET)
        return None

    told, _ = of_handler(watch, handler)
    sent = line(told, "reading https://files.example failed")
    assert sent.attributes["exception.type"] == "ValueError"
    assert "ValueError: https://files.example/a" in sent.attributes["exception.stacktrace"]
    assert not any(SECRET.encode() in body for body in told.bodies)


def test_what_sends_lines_makes_no_more_of_them(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    logging.getLogger("opentelemetry.sdk").warning("the collector does not answer")
    logging.getLogger("urllib3.connectionpool").warning("retrying")
    author.warning("another line")
    assert [each.text for each in it.told().lines] == ["another line"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("nothing", {}),
        (f"job {JOB} accepted", {"lockstep.job.id": JOB}),
        (f"stage 2 of job {JOB} has ended", {"lockstep.job.id": JOB, "lockstep.stage": 2}),
        (
            f"batch {JOB}-s3-b17 is sent",
            {"lockstep.job.id": JOB, "lockstep.stage": 3, "lockstep.batch.id": f"{JOB}-s3-b17"},
        ),
        (
            f"task {JOB}-s03-t0000017 failed: job {JOB[::-1]}",
            {"lockstep.job.id": JOB, "lockstep.stage": 3, "lockstep.task.id": f"{JOB}-s03-t0000017"},
        ),
        (f"digest {JOB}{JOB}", {}),
    ],
)
def test_the_ids_of_a_line_are_found_in_its_text(text: str, ids: dict[str, str | int]) -> None:
    assert ids_of(text) == ids


def test_no_secret_is_in_anything_that_is_sent(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    it.submit(b'{"label": "https://x.example/?token=%s"}' % SECRET.encode())
    it.pump()
    told = it.told()
    assert told.named(f"process {TASKS_QUEUE}")
    assert not any(SECRET.encode() in body for body in told.bodies)
