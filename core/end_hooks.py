"""The hook that a job type has at the end of its jobs: `job_ended`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class HookTry:
    """One try to run the hook of a job.

    Attributes:
        job_id: the job.
        ended_at: names the end: a job that was retried or resumed ends again.
        tries: the number of this try, from 1.
    """

    job_id: str
    ended_at: datetime
    tries: int
