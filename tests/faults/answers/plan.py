"""The plan: every call that the recordings make, with every answer; or some of them, one for each kind of call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.faults.answers.calls import COMMIT, Call, Strike
from tests.faults.answers.proxy import Answer
from tests.faults.answers.trials import Recording

FEW_REFUSALS = 2
MANY_REFUSALS = 8
"""One more than the failures of a job's code that fail the job."""


@dataclass(frozen=True)
class Case:
    """A scenario, and the call in it that is answered otherwise.

    Attributes:
        scenario: its name.
        strike: the call and its answer.
        spent: how many attempts the tasks of the scenario spend undisturbed.
    """

    scenario: str
    strike: Strike
    spent: int = 0

    def __str__(self) -> str:
        many = f" {MANY_REFUSALS} times" if self.strike.times == MANY_REFUSALS else ""
        return f"{self.scenario} | {self.strike.call} | {self.strike.answer}{many}"

    @property
    def name(self) -> str:
        """The same without spaces, for the id of a test."""
        return str(self).replace(" | ", "-").replace(" ", "_")


def every(recordings: Sequence[Recording]) -> list[Case]:
    """Every call with every answer, in the shortest scenario that makes it; those of two versions apart."""
    found: dict[tuple[bool, Call], Recording] = {}
    for recording in sorted(recordings, key=lambda each: (each.depends_on_threads, each.lives, len(each.calls))):
        for call in recording.calls:
            found.setdefault((recording.has_two_versions, call), recording)
    return [
        Case(recording.scenario, Strike(call, answer, _times(call, answer)), recording.spent)
        for (_, call), recording in sorted(found.items(), key=lambda item: item[0])
        for answer in Answer
    ]


def _times(call: Call, answer: Answer) -> int:
    if answer != Answer.REFUSED or call.is_send:  # the broker refuses some tries of one send
        return 1
    return MANY_REFUSALS if call.function == "run_job_message" else FEW_REFUSALS


_SOME: tuple[tuple[str, str, str, str], ...] = (
    ("plain", "submit_job", "Submitter._create", COMMIT),
    ("plain", "submit_job", "send_first_message", "send to sb-jobs"),
    ("plain", "submit_job", "send_first_message", COMMIT),
    ("plain", "run_job_message", "StageEngine._read", "with_job"),
    ("plain", "run_job_message", "DispatchLease.start_job", COMMIT),
    ("plain", "run_job_message", "DispatchLease.take", COMMIT),
    ("plain", "run_job_message", "BatchSender.two_phase", "batch_create_tasks"),
    ("plain", "run_job_message", "BatchSender.two_phase", COMMIT),
    ("plain", "run_job_message", "BatchSender._send", "send to sb-tasks"),
    ("plain", "run_job_message", "BatchSender._send", "send to sb-tasks-long"),
    ("plain", "run_job_message", "BatchSender._send_and_mark", COMMIT),
    ("plain", "run_job_message", "StageDispatcher._close", COMMIT),
    ("plain", "run_job_message", "Advancer._start_next", COMMIT),
    ("plain", "run_job_message", "Advancer._start_next", "send to sb-jobs"),
    ("atomic", "run_job_message", "BatchSender.atomic", "batch_create_tasks"),
    ("atomic", "run_job_message", "BatchSender.atomic", COMMIT),
    ("atomic", "run_job_message", "BatchSender._send", "send to sb-tasks"),
    ("cannot be dispatched", "run_job_message", "DispatchLease.renew", COMMIT),
    ("refused by the broker, atomic", "run_job_message", "DispatchLease.release", COMMIT),
    ("plain", "run_tasks", "Worker._claim", "claim"),
    ("plain", "run_tasks", "Worker._claim", COMMIT),
    ("plain", "run_tasks", "Recorder._write_or_keep_lease", "record"),
    ("plain", "run_tasks", "Recorder._write_or_keep_lease", COMMIT),
    ("plain", "run_tasks", "Recorder.record", "send to sb-jobs"),
    ("slow", "run_tasks", "TaskRunner._renew", COMMIT),
    ("plain", "run_long_task", "Worker._claim", COMMIT),
    ("the message of a long task dies", "dead_long_task", "DeadLetters._send_again", "send to sb-tasks-long"),
    ("plain", "sweep", "Sweeper._batches", COMMIT),
    ("two versions", "run_job_message", "BatchSender.two_phase", COMMIT),
    ("two versions", "run_tasks", "Worker._claim", COMMIT),
    ("two versions", "run_tasks", "Recorder._write_or_keep_lease", COMMIT),
    ("two versions, atomic", "run_job_message", "BatchSender._send", "send to sb-tasks"),
    ("tasks that go on later", "run_tasks", "LeasedRunState._write", "write_checkpoint"),
)


def some() -> list[Case]:
    """Each kind of call, answered late, never and with an error, in scenarios whose tasks spend no attempt."""
    return list(_some())


def _some() -> Iterator[Case]:
    for number, (scenario, function, place, what) in enumerate(_SOME):
        call = Call(function, place, what)
        never = (Answer.UNHEARD, Answer.UNANSWERED)[number % 2] if what != COMMIT else Answer.UNANSWERED
        for answer in (Answer.LATE, never, Answer.REFUSED):
            yield Case(scenario, Strike(call, answer, min(_times(call, answer), FEW_REFUSALS)))
    insert = Call("run_job_message", "BatchSender.two_phase", "batch_create_tasks")
    yield Case("short leases", Strike(insert, Answer.REFUSED, MANY_REFUSALS))
