"""Lists jobs for people, and looks for a text in what is shown of their parameters."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from core.job_listing import JobFilter, JobPlace, ListedJob, SearchedJob
from core.redaction import Redaction
from engine.process.job_secrets import JobSecrets
from repositories.ports import Database

logger = logging.getLogger(__name__)

_OF_ANSWERS = Redaction()
"""What the API does to each of its answers: URLs lose their secrets."""


@dataclass(frozen=True)
class JobList:
    """A part of the list of jobs, and the place after which it goes on; None at its end."""

    jobs: Sequence[ListedJob]
    next: JobPlace | None


class JobLister:
    """Reads the list of jobs."""

    def __init__(self, database: Database, secrets: JobSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def page(self, where: JobFilter, after: JobPlace | None, limit: int, text: str = "") -> JobList:
        """Returns up to `limit` jobs after a place, the newest first.

        With a text, only jobs in whose shown parameters it is. Such a page looks at `MAX_SEARCHED_JOBS` and
        `MAX_SEARCHED_BYTES` at most: it may have fewer jobs, or none, though the list goes on.
        """
        if text:
            return self._search(where, after, limit, text)
        with self._database.transaction() as work:
            found = work.job_listing.newest(where, after, limit)
            jobs = work.job_listing.of_ids(found)
        return JobList(jobs, jobs[-1].place if jobs and found.has_more else None)

    def _search(self, where: JobFilter, after: JobPlace | None, limit: int, text: str) -> JobList:
        # PostgreSQL finds the text in what is stored. What is shown decides, so that no secret can be guessed.
        with self._database.transaction() as work:
            searched = work.job_listing.searched(where, after, text)
        # Between two transactions: the models of job types, which tell what is secret, are code of their authors.
        matches = self._with_shown_text(searched.matches, text.lower(), limit + 1)
        with self._database.transaction() as work:
            jobs = work.job_listing.of_ids([each.job_id for each in matches[:limit]])
        if len(matches) > limit:
            return JobList(jobs, matches[limit - 1].place)
        return JobList(jobs, searched.last if searched.has_more else None)

    def _with_shown_text(self, jobs: Sequence[SearchedJob], text: str, most: int) -> list[SearchedJob]:
        """Returns the first jobs, `most` at most, in whose shown parameters a text in lower case is."""
        unfit: list[str] = []

        def has_text(job: SearchedJob) -> bool:
            parameters = self._secrets.shown_parameters(job, lambda job, _: unfit.append(job.job_id))
            return text in json.dumps(_OF_ANSWERS.json(parameters), ensure_ascii=False).lower()

        found = list(islice(filter(has_text, jobs), most))
        if unfit:  # one line a page: such jobs come in thousands
            logger.warning("the parameters of %d jobs no longer fit their type, the first is %s", len(unfit), unfit[0])
        return found
