"""The views that the API shows: rows, and numbers computed from rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import DeadLetterNotFoundError, JobNotFoundError
from core.job_events import JobEvent
from core.job_waits import JobWait
from core.models import Batch, Job, ProgressNote, Stage, StageCounts, Task
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload
from core.recent_ends import EndTimes
from core.statuses import JOB_ENDS, STAGE_ENDS, DeadLetterState, JobStatus, StageStatus, TaskStatus
from engine.jobs.shown_rows import shown_event, shown_job, shown_note, shown_task, shown_value, shown_wait
from engine.jobs.stage_rates import StageRate, stage_rate
from engine.process.job_secrets import JobSecrets
from repositories.ports import Database, KeptDeadLetter


@dataclass(frozen=True)
class StageView:
    """A stage with its counts.

    Attributes:
        stage: the row.
        counts: its tasks by status.
        rate: how fast its tasks end.
    """

    stage: Stage
    counts: StageCounts
    rate: StageRate


@dataclass(frozen=True)
class JobView:
    """A job with its stages.

    Attributes:
        job: the row.
        stages: the stages that have begun, in order.
        waits_for: what a waiting job waits for; None for other jobs.
        progress: from 0 to 1; every stage has the same weight. While a stage is being dispatched, the number of tasks
            created so far serves as its total.
        stage_results: the results of its stages that were asked for, by number.
        notes: what its running tasks said last, the newest first; None if that was not asked for.
    """

    job: Job
    stages: list[StageView]
    progress: float
    stage_results: Mapping[int, Any]
    waits_for: JobWait | None = None
    notes: Sequence[ProgressNote] | None = None


class EventPage(Page[JobEvent]):
    """Events of a job, in the order of their ids.

    Attributes:
        since: the time since which a later page has what was not committed yet.
    """

    def __init__(self, events: Iterable[JobEvent], *, has_more: bool, since: int) -> None:
        super().__init__(events, has_more=has_more)
        self.since = since


class StatusReader:
    """Reads the state of jobs, without their secrets; each answer takes one transaction."""

    def __init__(self, database: Database, secrets: JobSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def job(self, job_id: str, results_after: int | None = None, *, with_notes: bool = False) -> JobView:
        """Returns a job with the counts of each stage that has begun.

        Args:
            job_id: the job.
            results_after: returns the results of the stages after this number too, as many as a page has; None for no
                results.
            with_notes: whether it returns what running tasks said last, too.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(job_id)
            stages = work.stages.of_job(job_id)
            results = {}
            if results_after is not None:
                results = work.stages.results_of_job(job_id, results_after, MAX_PAGE_BYTES)
            counts = [_final(stage) or work.stages.counts(stage.key) for stage in stages]
            notes = None
            if with_notes:
                # Estimates may have missed the few that run.
                is_running = any(each.processing or each.are_estimates for each in counts)
                notes = work.task_listing.progress_notes(job_id) if is_running else []
            now = work.now()
            opened_at = {
                stage.key: work.events.reopened_at(stage.opening) if stage.openings else stage.created_at
                for stage in stages
                if stage.status not in STAGE_ENDS
            }
            ends = {
                key: work.batch_overviews.recent_ends(key, EndTimes.until(now, time))
                for key, time in opened_at.items()
                if time is not None
            }
            wait = work.waits.get(job_id) if job.status == JobStatus.WAITING else None
        views = [
            StageView(stage, count, stage_rate(stage, count, ends.get(stage.key), now))
            for stage, count in zip(stages, counts, strict=True)
        ]
        redaction = self._secrets.of_rows(job)
        shown = shown_job(job, self._secrets.shown_parameters(job), redaction)
        shown_results = {number: shown_value(result, redaction) for number, result in results.items()}
        waits_for = None if wait is None else shown_wait(wait, redaction)
        shown_notes = None if notes is None else [shown_note(note, redaction) for note in notes]
        return JobView(shown, views, _progress(job, views), shown_results, waits_for, shown_notes)

    def batches(self, job_id: str, after: tuple[int, int], limit: int) -> Page[Batch]:
        """Returns up to `limit` batches of a job after (stage, batch_index).

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            batches = work.batches.page_of_job(job_id, after, limit)
            if not batches and work.jobs.get(job_id) is None:
                raise JobNotFoundError(job_id)
            return batches

    def tasks(
        self, job_id: str, status: TaskStatus | None, after: str, limit: int, include: Iterable[TaskPayload] = ()
    ) -> Page[Task]:
        """Returns up to `limit` tasks of a job with an id above `after`, in one status or in any.

        Payload that is not included is None. A page of large tasks is shorter: see `MAX_PAGE_BYTES`.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(job_id)
            page = work.tasks.page(job_id, status, after, limit, include)
        redaction = self._secrets.of_rows(job)
        return Page((shown_task(task, redaction) for task in page), has_more=page.has_more)

    def events(self, job_id: str, after_id: int, limit: int, since: int = 0) -> EventPage:
        """Returns up to `limit` events of a job with an id above `after_id`, that were written or changed since a time.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(job_id)
            now = work.events.since()
            events = work.events.page(job_id, after_id, limit, since)
        redaction = self._secrets.of_rows(job)
        return EventPage((shown_event(each, redaction) for each in events), has_more=events.has_more, since=now)

    def dead_letters(
        self, before_id: int | None, limit: int, *, with_body: bool, state: DeadLetterState | None = None
    ) -> Page[KeptDeadLetter]:
        """Returns dead letters with an id below `before_id`, the newest first; a page of large ones is shorter.

        Args:
            before_id: None for the newest.
            limit: the most dead letters.
            with_body: without it, their bodies are empty.
            state: None for any.
        """
        with self._database.transaction() as work:
            return work.dead_letters.newest(limit, before_id, with_body=with_body, state=state)

    def dead_letter(self, dead_letter_id: int) -> KeptDeadLetter:
        """Returns a dead letter with its body.

        Raises:
            DeadLetterNotFoundError: there is no such dead letter.
        """
        with self._database.transaction() as work:
            kept = work.dead_letters.get(dead_letter_id)
        if kept is None:
            raise DeadLetterNotFoundError(dead_letter_id)
        return kept


def _final(stage: Stage) -> StageCounts | None:
    """Returns the counts of a finished stage from its row, which saves counting its batches; None for other stages."""
    if stage.status != StageStatus.FINISHED or stage.total_batches is None or stage.total_tasks is None:
        return None
    return StageCounts(
        batches=stage.total_batches,
        batches_queued=stage.total_batches,
        tasks=stage.total_tasks,
        pending_queue=0,
        processing=0,
        retrying=0,
        completed=stage.completed_tasks,
        failed=stage.failed_tasks,
        cancelled=stage.cancelled_tasks,
    )


def _progress(job: Job, views: list[StageView]) -> float:
    if job.status in JOB_ENDS:
        return 1.0
    done = 0.0
    for view in views:
        total = view.stage.total_tasks if view.stage.total_tasks is not None else view.counts.tasks
        if view.stage.status in STAGE_ENDS:
            done += 1
        elif total:
            done += view.counts.ended / total
    return done / job.total_stages
