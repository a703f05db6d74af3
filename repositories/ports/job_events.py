"""The port of the table job_events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from core.job_events import JobEvent, Repair
from core.models import StageKey, StageOpening
from core.pages import MAX_PAGE_BYTES, Page


class JobEventRepository(Protocol):
    """The table `job_events`.

    The methods of the other repositories that change a job or a stage write its event with the change.
    """

    def page(
        self, job_id: str, after_id: int, limit: int, since: int = 0, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[JobEvent]:
        """Returns up to `limit` events of a job with an id above `after_id`, in the order of their ids.

        With `since`, only those that were written or changed since then, and perhaps some before; 0 for any. Their
        details have at most `max_bytes` as JSON; those of one may have more.
        """
        ...

    def since(self) -> int:
        """Returns a time for `page`: a later page since then has all that was not committed before this call.

        Ids are given before the commit. So an event may become visible after one with a higher id.
        """
        ...

    def reopened_at(self, opening: StageOpening) -> datetime | None:
        """Returns when a stage was reopened for the given time; None if no event tells."""
        ...

    def repaired(self, repair: Repair, messages: Mapping[StageKey, int]) -> None:
        """Notes how many messages of each stage are sent again; stage number 0 stands for a job without a stage."""
        ...
