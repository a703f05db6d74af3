"""The port of the table job_events."""

from collections.abc import Mapping
from typing import Protocol

from core.job_events import JobEvent, Repair
from core.models import StageKey


class JobEventRepository(Protocol):
    """The table `job_events`.

    The methods of the other repositories that change a job or a stage write its event with the change.
    """

    def page(self, job_id: str, after_id: int, limit: int) -> list[JobEvent]:
        """Returns up to `limit` events of a job with an id above `after_id`, in the order of their ids."""
        ...

    def repaired(self, repair: Repair, messages: Mapping[StageKey, int]) -> None:
        """Notes how many messages of each stage are sent again; stage number 0 stands for a job without a stage."""
        ...
