"""Lists jobs for people, and looks for a text in what is shown of their parameters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from core.job_listing import JobFilter, JobPlace, ListedJob, SearchedJob
from core.redaction import Redaction
from engine.process.job_secrets import JobSecrets
from repositories.ports import Database

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

        With a text, only jobs in whose shown parameters it is. Such a page looks at `MAX_SEARCHED_JOBS` at most: it may
        have fewer jobs, or none, though the list goes on.
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
        matches = [each for each in searched.matches if text.lower() in self._shown(each).lower()]
        with self._database.transaction() as work:
            jobs = work.job_listing.of_ids([each.job_id for each in matches[:limit]])
        if len(matches) > limit:
            return JobList(jobs, matches[limit - 1].place)
        return JobList(jobs, searched.last if searched.has_more else None)

    def _shown(self, job: SearchedJob) -> str:
        return json.dumps(_OF_ANSWERS.json(self._secrets.shown_parameters(job)), ensure_ascii=False)
