"""The port of what people see of all batches at once."""

from typing import Protocol

from core.batch_overviews import EndedSpan, EndedTasks
from core.models import StageKey
from core.recent_ends import EndTimes, RecentEnds


class BatchOverviewRepository(Protocol):
    """Reads the table `batches`, and of `tasks` when they ended, for people."""

    def states(self, key: StageKey) -> str:
        """Returns the `BatchState` of each batch of a stage, in the order of the batches; "" if it has none."""
        ...

    def ended_span(self, job_id: str) -> EndedSpan | None:
        """Returns when the batches of a job ended; None if none has."""
        ...

    def ended_tasks(self, job_id: str, span: EndedSpan, bucket_seconds: int) -> list[EndedTasks]:
        """Counts the tasks of the batches that ended in each bucket of a span, in order; without empty buckets."""
        ...

    def recent_ends(self, key: StageKey, times: EndTimes) -> RecentEnds:
        """Returns which tasks of a stage ended last."""
        ...
