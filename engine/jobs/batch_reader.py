"""Reads the batches of a job for people: all of a stage at once, their ends over time, the tasks of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.batch_overviews import EndedSpan, EndedTasks, bucket_seconds
from core.errors import JobNotFoundError
from core.models import StageKey, Task
from core.pages import Page, TaskPayload
from engine.jobs.shown_rows import shown_task
from engine.process.job_secrets import JobSecrets
from repositories.ports import Database

_MOST_BUCKETS = 120
"""As many points as a chart needs."""


@dataclass(frozen=True)
class BatchMap:
    """The batches of a stage, a `BatchState` each; stage 0 before the first stage of a job."""

    stage: int
    states: str


@dataclass(frozen=True)
class Throughput:
    """The tasks of a job's ended batches over time; without a span if no batch has ended."""

    span: EndedSpan | None
    bucket_seconds: int
    buckets: Sequence[EndedTasks]


class BatchReader:
    """Reads batches; each answer takes one transaction, and its queries read each row at most once."""

    def __init__(self, database: Database, secrets: JobSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def map(self, job_id: str, stage: int | None) -> BatchMap:
        """Returns the states of the batches of a stage; of the stage that the job stands at if it is None.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(job_id)
            number = job.stage if stage is None else stage
            return BatchMap(number, work.batch_overviews.states(StageKey(job_id, number)))

    def throughput(self, job_id: str) -> Throughput:
        """Counts the tasks of the batches that ended in each of up to 120 buckets of time.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            span = work.batch_overviews.ended_span(job_id)
            if span is None:
                if work.jobs.get(job_id) is None:
                    raise JobNotFoundError(job_id)
                return Throughput(None, 1, [])
            width = bucket_seconds(span, _MOST_BUCKETS)
            return Throughput(span, width, work.batch_overviews.ended_tasks(job_id, span, width))

    def tasks(
        self, job_id: str, batch_id: str, after: str, limit: int, include: Iterable[TaskPayload] = ()
    ) -> Page[Task]:
        """Returns up to `limit` tasks of a batch with an id above `after`; none if the job has no such batch.

        A page of large tasks is shorter: see `MAX_PAGE_BYTES`.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(job_id)
            task_ids = work.tasks.ids_of_batch(batch_id) if batch_id.startswith(f"{job_id}-") else []
            wanted = [task_id for task_id in task_ids if task_id > after]
            page = work.task_listing.of_ids(wanted[:limit], include) if wanted else Page[Task]([], has_more=False)
        redaction = self._secrets.of_rows(job)
        return Page((shown_task(task, redaction) for task in page), has_more=page.has_more or len(wanted) > limit)
