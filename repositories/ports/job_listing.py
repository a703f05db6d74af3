"""The port of the list of jobs."""

from collections.abc import Sequence
from typing import Protocol

from core.job_listing import (
    MAX_SEARCHED_BYTES,
    MAX_SEARCHED_JOBS,
    JobFilter,
    JobPlace,
    ListedJob,
    SearchedJobs,
)
from core.pages import Page


class JobListingRepository(Protocol):
    """Reads the table `jobs` for people, the newest jobs first."""

    def newest(self, where: JobFilter, after: JobPlace | None, limit: int) -> Page[str]:
        """Returns the ids of up to `limit` jobs that come after a place in the list; None for its beginning."""
        ...

    def of_ids(self, job_ids: Sequence[str]) -> list[ListedJob]:
        """Returns the jobs with these ids, in the order of the list; leaves out those that do not exist."""
        ...

    def searched(
        self,
        where: JobFilter,
        after: JobPlace | None,
        text: str,
        limit: int = MAX_SEARCHED_JOBS,
        max_bytes: int = MAX_SEARCHED_BYTES,
    ) -> SearchedJobs:
        """Looks for a text in the parameters of the next jobs of the list.

        Which jobs it looks at does not depend on the text: so the page tells nothing of what is stored and not shown.

        Args:
            where: which jobs.
            after: the place after which to begin; None for the beginning.
            text: what to look for in the parameters as JSON; the case of ASCII letters does not matter.
            limit: the most jobs, at least 1.
            max_bytes: the most bytes of parameters, as JSON; those of one job may have more.
        """
        ...
