"""Notices that a job has ended, in the form of CloudEvents 1.0 (JSON, structured mode)."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from core.messages import OutgoingMessage
from core.statuses import JobStatus

_CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True)
class EndNotice:
    """An end of a job that is told to the queue or topic of `JOB_EVENTS`.

    Attributes:
        notice_id: of the row.
        job_id: the job.
        job_type: its type.
        status: the status in which it ended.
        stage: the stage at which it ended; 0 before the first.
        opening: how often that stage had been reopened.
        completed: its tasks that had completed by then, in all stages.
        failed: those that had failed.
        cancelled: those that were cancelled.
        ended_at: when it ended (aware, by the database's clock); with the job, it names the end.
    """

    notice_id: int
    job_id: str
    job_type: str
    status: JobStatus
    stage: int
    opening: int
    completed: int
    failed: int
    cancelled: int
    ended_at: datetime

    @property
    def event_id(self) -> str:
        """The id of the event: the same each time that the notice is sent; another end of the job has another."""
        return f"{self.job_id}-{self.ended_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"

    def outgoing(self, source: str) -> OutgoingMessage:
        """Returns the message that is sent; its message id is the event's.

        Args:
            source: names the app, a URI reference.
        """
        event = {
            "specversion": "1.0",
            "id": self.event_id,
            "source": source,
            "type": f"lockstep.job.{self.status}",
            "subject": self.job_id,
            "time": self.ended_at.astimezone(UTC).isoformat(),
            "datacontenttype": "application/json",
            "data": {
                "job_id": self.job_id,
                "job_type": self.job_type,
                "status": self.status,
                "stage": self.stage,
                "opening": self.opening,
                "tasks": {"completed": self.completed, "failed": self.failed, "cancelled": self.cancelled},
            },
        }
        return OutgoingMessage(json.dumps(event).encode(), self.event_id, content_type=_CONTENT_TYPE)
