"""Messages that the application did not send."""

from core.ids import batch_id, task_id
from core.messages import JobAction, JobMessage, TaskMessage
from tests.faults.crash import jobs
from tests.faults.crash.host import Host
from tests.faults.crash.story import Life, Scenario

_NO_JOB = "0" * 32
_NO_TASK = TaskMessage(task_id(_NO_JOB, 1, 0), batch_id(_NO_JOB, 1, 0)).outgoing().body
_STRANGE_JOBS = (b"no job", JobMessage(_NO_JOB, 1, JobAction.DISPATCH).outgoing().body)


def _meet_strange_messages(host: Host) -> None:
    host.send("sb-tasks", b"no task")
    host.send("sb-jobs", *_STRANGE_JOBS)
    host.everything()


def _meet_a_message_without_a_row(host: Host) -> None:
    host.send("sb-tasks", _NO_TASK)
    host.everything()


def _bury_strange_messages(host: Host) -> None:
    host.send("sb-tasks", b"no task", _NO_TASK)
    host.send("sb-jobs", *_STRANGE_JOBS)
    host.bury("sb-tasks", 2)
    host.bury("sb-jobs", len(_STRANGE_JOBS))
    host.everything()


SCENARIOS = (
    Scenario("strange messages", jobs.job_type(), (Life(_meet_strange_messages),), letters=lambda _: 3),
    Scenario("a message without a row", jobs.job_type(), (Life(_meet_a_message_without_a_row),), letters=lambda _: 1),
    Scenario("strange messages die", jobs.job_type(), (Life(_bury_strange_messages),), letters=lambda _: 4),
)
