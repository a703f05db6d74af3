from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.statuses import JobStatus


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended, as `job_ended` gets it.

    Attributes:
        status: completed, completed_with_errors, failed or cancelled.
        result: the job's result; None unless it completed.
        error: type, message and stage of the failure; of a job that completed with errors, its most frequent error.
    """

    status: JobStatus
    result: Any
    error: Mapping[str, Any] | None
