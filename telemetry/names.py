"""The names of attributes: those of OpenTelemetry's semantic conventions where there are any."""

from collections.abc import Sequence

from core.lanes import Transport
from core.statuses import TaskStatus
from core.task_runs import TaskOutcome

Attributes = dict[str, str | int]

JOB_ID = "lockstep.job.id"
JOB_TYPE = "lockstep.job.type"
STAGE = "lockstep.stage"
BATCH_ID = "lockstep.batch.id"
TASK_ID = "lockstep.task.id"
TASK_TYPE = "lockstep.task.type"
TASK_ATTEMPT = "lockstep.task.attempt"
TASK_COUNT = "lockstep.task.count"
TASK_OUTCOME = "lockstep.task.outcome"
REPAIR_KIND = "lockstep.repair.kind"
DEAD_LETTER_REASON = "lockstep.dead_letter.reason"

ERROR_TYPE = "error.type"
COUNT = "messaging.batch.message_count"
MESSAGING_SYSTEM = "messaging.system"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
SYSTEMS = {Transport.SERVICE_BUS: "servicebus", Transport.STORAGE: "azure_storage_queues"}
"""The semantic conventions name the first one, and allow a name of one's own for what they do not name."""

IDS = "lockstep.ids"
"""The key under which a context keeps the ids of what a thread works for."""

RELEASED = "released"
CONTINUED = "continued"


def outcome_name(outcomes: Sequence[TaskOutcome | None]) -> str:
    """Names what became of the tasks of one call: the outcome that they share, or `mixed`."""
    if len(outcomes) == 1:
        (outcome,) = outcomes
        return RELEASED if outcome is None else name_of(outcome, outcome.status)
    names = {RELEASED if each is None else name_of(each, each.status) for each in outcomes}
    return names.pop() if len(names) == 1 else "mixed"


def name_of(outcome: TaskOutcome | None, status: TaskStatus) -> str:
    """Names an outcome that was recorded with a status: a task that goes on later is not one that is tried again."""
    is_continued = outcome is not None and outcome.continuation is not None and status == TaskStatus.RETRYING
    return CONTINUED if is_continued else str(status)
