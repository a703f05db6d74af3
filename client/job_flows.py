"""The flows about jobs: they are watched, their events followed, their failures and results read page by page."""

import json
import math
from collections.abc import Callable
from time import monotonic

from client import app_calls, job_calls
from client.answers import JOB_ENDS, Failures, Job, JobEvent, TaskResult
from client.app_answers import ActionProgress
from client.errors import InvalidArgumentError, InvalidInputError, WatchTimeoutError
from client.flows import Emit, Flow, Part, Pause, answered
from client.pages import ResultsPage

WATCH_REPEAT_SECONDS = 300.0
"""How long a watch waits for an app that cannot be reached."""

PAGE = 1000
"""The most rows that the app returns at once."""

_POLL_SECONDS = 2.0
"""Between polls, where the app does not say."""


def watched(
    job_id: str,
    timeout_seconds: float | None,
    poll_seconds: float | None,
    clock: Callable[[], float] = monotonic,
    *,
    progress_notes: bool = False,
) -> Flow[Job]:
    """Emits a job whenever it has changed, until it has ended; the last one has an end status.

    Raises:
        InvalidArgumentError: a time is no number.
        WatchTimeoutError: it has not ended in time.
    """
    for name, seconds in (("timeout_seconds", timeout_seconds), ("poll_seconds", poll_seconds)):
        if seconds is not None and math.isnan(seconds):  # no clock reaches it
            raise InvalidArgumentError(f"{name} is not a number; it must be one, of seconds")
    ends_at = math.inf if timeout_seconds is None else clock() + timeout_seconds
    tag = None
    while True:
        left = max(0.0, ends_at - clock())
        call = job_calls.poll_job(job_id, tag, progress_notes=progress_notes)
        try:
            polled = yield from answered(call, min(left, WATCH_REPEAT_SECONDS))
        except InvalidInputError as exc:
            if not (progress_notes and refuses_include(exc)):
                raise
            progress_notes = False
            continue
        tag = polled.tag
        if polled.job is not None:
            yield Emit(polled.job)
            if polled.job["status"] in JOB_ENDS:
                return
        left = ends_at - clock()
        if left <= 0:
            raise WatchTimeoutError(f"job {job_id} has not ended after {timeout_seconds:g} s; it runs on")
        yield Pause(min(left, poll_seconds or polled.retry_after_seconds or _POLL_SECONDS))


def refuses_include(error: InvalidInputError) -> bool:
    """Whether the app does not know a value of `include`, as an older version during an update."""
    return any(each.field == "include" for each in error.fields)


def watched_action(action_id: str) -> Flow[ActionProgress]:
    """Emits the progress of a bulk action until it has finished."""
    while True:
        progress = yield from answered(app_calls.get_action(action_id), WATCH_REPEAT_SECONDS)
        yield Emit(progress)
        if progress["is_finished"]:
            return
        yield Pause(_POLL_SECONDS)


def events(job_id: str, *, follow: bool, repeat_seconds: float) -> Flow[JobEvent]:
    """Emits the events of a job, the oldest first; with `follow`, those to come too, until the job has ended.

    An event is emitted again when it has counted more repairs.
    """
    repeat_seconds = max(repeat_seconds, WATCH_REPEAT_SECONDS) if follow else repeat_seconds
    known: dict[int, int] = {}
    since, has_ended = None, not follow
    while True:
        found, since = yield from _events_since(job_id, since, repeat_seconds)
        for event in found:
            if known.get(event["event_id"]) != event["times"]:
                known[event["event_id"]] = event["times"]
                yield Emit(event)
        if has_ended:
            return
        # The last events are read after the job is seen to have ended.
        job = yield from answered(job_calls.get_job(job_id), repeat_seconds)
        has_ended = job["status"] in JOB_ENDS
        if not has_ended:
            yield Pause(_POLL_SECONDS)


def _events_since(job_id: str, since: int | None, repeat_seconds: float) -> Part[tuple[list[JobEvent], int]]:
    """Reads all pages; the `since` of the first one is for the next request."""
    found: list[JobEvent] = []
    following, first_since = None, None
    while True:
        call = job_calls.list_job_events(job_id, since=since, after=following, limit=PAGE)
        page, next_since = yield from answered(call, repeat_seconds)
        found += page.rows
        first_since = next_since if first_since is None else first_since
        following = page.next
        if following is None:
            return found, first_since


def failures(job_id: str, repeat_seconds: float) -> Flow[Failures]:
    """Emits the pages of grouped failures."""
    following = None
    while True:
        page = yield from answered(job_calls.list_failures(job_id, after=following), repeat_seconds)
        yield Emit(page)
        following = page["next"]
        if following is None:
            return


def result_pages(
    job_id: str, stage: int | None, after: int | None, *, csv: bool, repeat_seconds: float
) -> Flow[ResultsPage]:
    """Emits pages of lines. All are of the stage of the first one, though the job may enter the next one meanwhile."""
    while True:
        call = job_calls.list_results(job_id, stage=stage, after=after, limit=PAGE, csv=csv)
        page = yield from answered(call, repeat_seconds)
        yield Emit(page)
        stage, after = page.stage, page.next
        if after is None:
            return


def lines(page: ResultsPage) -> list[TaskResult]:
    """Reads the results of a page of NDJSON."""
    # A result may contain other line separators, at which splitlines would break it.
    return [json.loads(line) for line in page.text.split("\n") if line]
