"""The client of an app, for asynchronous programs. `client.lockstep` describes the methods."""

from collections.abc import AsyncIterator, Mapping, Sequence
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
from client.async_driver import AsyncDriver
from client.filters import JobFilter
from client.flows import every
from client.pages import ResultsPage

_ALL_JOBS = JobFilter()


class AsyncLockstep(AsyncDriver):
    """As `Lockstep`, with `async with`, `await` and `async for`."""

    async def submit(
        self,
        job_type: str,
        parameters: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        start_at: datetime | None = None,
        after: Sequence[str] = (),
        urgent: bool = False,
    ) -> Submission:
        call = job_calls.submit(
            job_type, parameters, idempotency_key=idempotency_key, start_at=start_at, after=after, urgent=urgent
        )
        return await self.send(call)

    async def job(
        self, job_id: str, *, stage_results: bool = False, progress_notes: bool = False, after: int | None = None
    ) -> Job:
        call = job_calls.get_job(job_id, stage_results=stage_results, progress_notes=progress_notes, after=after)
        return await self.send(call)

    def watch(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        poll_seconds: float | None = None,
        progress_notes: bool = False,
    ) -> AsyncIterator[Job]:
        return self.run(job_flows.watched(job_id, timeout_seconds, poll_seconds, progress_notes=progress_notes))

    def jobs(
        self, where: JobFilter = _ALL_JOBS, *, text: str | None = None, page_size: int | None = None
    ) -> AsyncIterator[ListedJob]:
        return self.run(
            every(
                lambda after: job_calls.list_jobs(where, text=text, limit=page_size, after=after), self.repeat_seconds
            )
        )

    def batches(self, job_id: str) -> AsyncIterator[Batch]:
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
    ) -> AsyncIterator[Task]:
        return self.run(
            every(
                lambda after: job_calls.list_tasks(
                    job_id, status=status, error=error, batch=batch, include=include, limit=page_size, after=after
                ),
                self.repeat_seconds,
            )
        )

    async def task(self, job_id: str, task_id: str) -> TaskDetails:
        return await self.send(job_calls.get_task(job_id, task_id))

    def failures(self, job_id: str) -> AsyncIterator[Failures]:
        return self.run(job_flows.failures(job_id, self.repeat_seconds))

    async def results(
        self, job_id: str, *, stage: int | None = None, after: int | None = None
    ) -> AsyncIterator[TaskResult]:
        async for page in self.result_pages(job_id, stage=stage, after=after):
            for line in job_flows.lines(page):
                yield line

    def result_pages(
        self, job_id: str, *, stage: int | None = None, after: int | None = None, csv: bool = False
    ) -> AsyncIterator[ResultsPage]:
        return self.run(job_flows.result_pages(job_id, stage, after, csv=csv, repeat_seconds=self.repeat_seconds))

    def events(self, job_id: str, *, follow: bool = False) -> AsyncIterator[JobEvent]:
        return self.run(job_flows.events(job_id, follow=follow, repeat_seconds=self.repeat_seconds))

    async def cancel(self, job_id: str) -> Change:
        return await self.send(job_calls.cancel_job(job_id))

    async def retry(
        self,
        job_id: str,
        *,
        batch_id: str | None = None,
        task_ids: Sequence[str] | None = None,
        error: str | None = None,
    ) -> Change:
        return await self.send(job_calls.retry_job(job_id, batch_id=batch_id, task_ids=task_ids, error=error))

    async def resume(self, job_id: str) -> Change:
        return await self.send(job_calls.resume_job(job_id))

    async def count_jobs(self, kind: BulkKind, where: JobFilter) -> JobCount:
        return await self.send(app_calls.count_jobs(kind, where))

    async def change_jobs(self, kind: BulkKind, where: JobFilter) -> ActionProgress:
        return await self.send(app_calls.change_jobs(kind, where))

    async def action(self, action_id: str) -> ActionProgress:
        return await self.send(app_calls.get_action(action_id))

    def actions(self, *, page_size: int | None = None) -> AsyncIterator[ListedAction]:
        return self.run(every(lambda after: app_calls.list_actions(limit=page_size, after=after), self.repeat_seconds))

    def watch_action(self, action_id: str) -> AsyncIterator[ActionProgress]:
        return self.run(job_flows.watched_action(action_id))

    async def job_types(self) -> list[JobType]:
        return await self.send(app_calls.list_job_types())

    async def queues(self) -> list[Queue]:
        return await self.send(app_calls.list_queues())

    async def schedules(self) -> list[Schedule]:
        return await self.send(app_calls.list_schedules())

    def dead_letters(
        self, *, state: DeadLetterState | None = None, include: Sequence[str] = (), page_size: int | None = None
    ) -> AsyncIterator[DeadLetter]:
        return self.run(
            every(
                lambda before: app_calls.list_dead_letters(
                    state=state, include=include, limit=page_size, before=before
                ),
                self.repeat_seconds,
            )
        )

    async def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        return await self.send(app_calls.get_dead_letter(dead_letter_id))

    async def resend_dead_letter(self, dead_letter_id: int) -> DeadLetter:
        return await self.send(app_calls.resend_dead_letter(dead_letter_id))

    async def discard_dead_letter(self, dead_letter_id: int) -> DeadLetter:
        return await self.send(app_calls.discard_dead_letter(dead_letter_id))

    async def health(self) -> Health:
        return await self.send(app_calls.health())

    async def openapi(self) -> dict[str, Any]:
        return await self.send(app_calls.get_openapi())
