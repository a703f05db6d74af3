"""The client of an app, for programs that wait for each answer."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from client import app_calls, job_calls, job_flows
from client.answers import (
    Batch,
    Change,
    Failures,
    Job,
    JobEvent,
    ListedJob,
    Submission,
    Task,
    TaskDetails,
    TaskResult,
    TaskStatus,
)
from client.app_answers import (
    ActionProgress,
    BulkKind,
    DeadLetter,
    DeadLetterState,
    Health,
    JobCount,
    JobType,
    ListedAction,
    Queue,
    Schedule,
)
from client.filters import JobFilter
from client.flows import every
from client.pages import ResultsPage
from client.sync_driver import SyncDriver

_ALL_JOBS = JobFilter()


class Lockstep(SyncDriver):
    """The client of an app: `with Lockstep("http://127.0.0.1:7071") as app: app.submit("hello_world", {"n": 10})`.

    Every method raises the errors of `client.errors`.
    """

    def submit(
        self,
        job_type: str,
        parameters: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        start_at: datetime | None = None,
        after: Sequence[str] = (),
        urgent: bool = False,
    ) -> Submission:
        """Submits a job; without a key, the same parameters are the same job, whose `created` is then false."""
        call = job_calls.submit(
            job_type, parameters, idempotency_key=idempotency_key, start_at=start_at, after=after, urgent=urgent
        )
        return self.send(call)

    def job(
        self, job_id: str, *, stage_results: bool = False, progress_notes: bool = False, after: int | None = None
    ) -> Job:
        """Returns a job; with `stage_results`, the stages after the number `after` have their results.

        With `progress_notes`, it has what its running tasks said last.
        """
        call = job_calls.get_job(job_id, stage_results=stage_results, progress_notes=progress_notes, after=after)
        return self.send(call)

    def watch(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        poll_seconds: float | None = None,
        progress_notes: bool = False,
    ) -> Iterator[Job]:
        """Yields a job whenever it has changed, until it has ended; by default at the pace that the app asks for.

        With `progress_notes`, it has changed when a running task has said something, too.

        Raises:
            WatchTimeoutError: it has not ended in time.
        """
        return self.run(job_flows.watched(job_id, timeout_seconds, poll_seconds, progress_notes=progress_notes))

    def jobs(
        self, where: JobFilter = _ALL_JOBS, *, text: str | None = None, page_size: int | None = None
    ) -> Iterator[ListedJob]:
        """Yields jobs, the newest first; `text` is looked for in their parameters."""
        return self.run(
            every(
                lambda after: job_calls.list_jobs(where, text=text, limit=page_size, after=after), self.repeat_seconds
            )
        )

    def batches(self, job_id: str) -> Iterator[Batch]:
        """Yields the batches of a job."""
        return self.run(
            every(lambda after: job_calls.list_batches(job_id, limit=job_flows.PAGE, after=after), self.repeat_seconds)
        )

    def tasks(
        self,
        job_id: str,
        *,
        status: TaskStatus | None = None,
        error: str | None = None,
        batch: str | None = None,
        include: Sequence[str] = (),
        page_size: int | None = job_flows.PAGE,
    ) -> Iterator[Task]:
        """Yields the tasks of a job: all, or those with a status, of an error group, or of a batch."""
        return self.run(
            every(
                lambda after: job_calls.list_tasks(
                    job_id, status=status, error=error, batch=batch, include=include, limit=page_size, after=after
                ),
                self.repeat_seconds,
            )
        )

    def task(self, job_id: str, task_id: str) -> TaskDetails:
        """Returns all of a task."""
        return self.send(job_calls.get_task(job_id, task_id))

    def failures(self, job_id: str) -> Iterator[Failures]:
        """Yields pages of the failed tasks of a job, grouped by cause; the counts of a group add up."""
        return self.run(job_flows.failures(job_id, self.repeat_seconds))

    def results(self, job_id: str, *, stage: int | None = None, after: int | None = None) -> Iterator[TaskResult]:
        """Yields the results of the ended tasks of a stage, of the current one by default."""
        for page in self.result_pages(job_id, stage=stage, after=after):
            yield from job_flows.lines(page)

    def result_pages(
        self, job_id: str, *, stage: int | None = None, after: int | None = None, csv: bool = False
    ) -> Iterator[ResultsPage]:
        """Yields the same as pages of text, NDJSON or CSV."""
        return self.run(job_flows.result_pages(job_id, stage, after, csv=csv, repeat_seconds=self.repeat_seconds))

    def events(self, job_id: str, *, follow: bool = False) -> Iterator[JobEvent]:
        """Yields the events of a job; with `follow` until it has ended, and again those that have counted more."""
        return self.run(job_flows.events(job_id, follow=follow, repeat_seconds=self.repeat_seconds))

    def cancel(self, job_id: str) -> Change:
        """Cancels a job."""
        return self.send(job_calls.cancel_job(job_id))

    def retry(
        self,
        job_id: str,
        *,
        batch_id: str | None = None,
        task_ids: Sequence[str] | None = None,
        error: str | None = None,
    ) -> Change:
        """Runs the failed tasks of a job again: all of them, or those of a batch, these, or those of an error group."""
        return self.send(job_calls.retry_job(job_id, batch_id=batch_id, task_ids=task_ids, error=error))

    def resume(self, job_id: str) -> Change:
        """Continues a cancelled job."""
        return self.send(job_calls.resume_job(job_id))

    def count_jobs(self, kind: BulkKind, where: JobFilter) -> JobCount:
        """Counts the jobs that a bulk action would be about."""
        return self.send(app_calls.count_jobs(kind, where))

    def change_jobs(self, kind: BulkKind, where: JobFilter) -> ActionProgress:
        """Begins to cancel, retry or delete many jobs."""
        return self.send(app_calls.change_jobs(kind, where))

    def action(self, action_id: str) -> ActionProgress:
        """Returns how far a bulk action has come."""
        return self.send(app_calls.get_action(action_id))

    def actions(self, *, page_size: int | None = None) -> Iterator[ListedAction]:
        """Yields the bulk actions of the last month at least, the newest first."""
        return self.run(every(lambda after: app_calls.list_actions(limit=page_size, after=after), self.repeat_seconds))

    def watch_action(self, action_id: str) -> Iterator[ActionProgress]:
        """Yields the progress of a bulk action until it has finished."""
        return self.run(job_flows.watched_action(action_id))

    def job_types(self) -> list[JobType]:
        """Returns the job types, with the JSON Schema of their parameters."""
        return self.send(app_calls.list_job_types())

    def queues(self) -> list[Queue]:
        """Returns the queues with the numbers of their messages."""
        return self.send(app_calls.list_queues())

    def schedules(self) -> list[Schedule]:
        """Returns the schedules."""
        return self.send(app_calls.list_schedules())

    def dead_letters(
        self, *, state: DeadLetterState | None = None, include: Sequence[str] = (), page_size: int | None = None
    ) -> Iterator[DeadLetter]:
        """Yields dead letters, the newest first."""
        return self.run(
            every(
                lambda before: app_calls.list_dead_letters(
                    state=state, include=include, limit=page_size, before=before
                ),
                self.repeat_seconds,
            )
        )

    def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """Returns a dead letter with its body."""
        return self.send(app_calls.get_dead_letter(dead_letter_id))

    def resend_dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """Sends the message of a dead letter again."""
        return self.send(app_calls.resend_dead_letter(dead_letter_id))

    def discard_dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """Marks a dead letter as handled."""
        return self.send(app_calls.discard_dead_letter(dead_letter_id))

    def health(self) -> Health:
        """Returns the state of the database, the migrations and the broker."""
        return self.send(app_calls.health())

    def openapi(self) -> dict[str, Any]:
        """Returns the OpenAPI document."""
        return self.send(app_calls.get_openapi())
