"""A process dies. The broker delivers its messages again at once, while its leases still hold."""

from core.batching import BATCH_SIZE
from tests.faults.crash import jobs
from tests.faults.crash.host import Host
from tests.faults.crash.scenarios.places import ADVANCED, CLAIMED, CLOSED, DISPATCHED, ENDED
from tests.faults.crash.story import LOCK_SECONDS, SMALL_ROOM, Life, Scenario, end_locks, running


def _run_all_but_the_last_batch(host: Host) -> None:
    running("run_job_message")(host)
    host.consume("run_tasks", most=(host.size - 1) // BATCH_SIZE)


SCENARIOS = (
    Scenario(
        "a dispatcher dies",
        jobs.job_type(),
        # Its message finds the stage leased.
        (Life(dies_at=DISPATCHED, after=end_locks), Life(pass_seconds=LOCK_SECONDS)),
    ),
    Scenario(
        "a worker dies",
        jobs.job_type(),
        # Its messages find their tasks leased.
        (Life(dies_at=CLAIMED, after=end_locks), Life(pass_seconds=LOCK_SECONDS)),
    ),
    Scenario(
        "a worker dies that has ended the stage",
        jobs.job_type(),
        # It had not sent the stage's message; its messages find their tasks ended.
        (Life(_run_all_but_the_last_batch), Life(dies_at=ENDED, after=end_locks)),
    ),
    Scenario(
        "a worker dies that has made room",
        jobs.job_type(),
        # It had not sent the message of the dispatch; its messages find their tasks ended.
        (Life(running("run_job_message")), Life(dies_at=ENDED, after=end_locks)),
        environment=SMALL_ROOM,
    ),
    Scenario(
        "a process dies that has advanced the job",
        jobs.job_type(),
        # It had not sent the message of the next stage.
        (Life(dies_at=ADVANCED, after=end_locks),),
    ),
    Scenario(
        "a dispatcher dies that was done",
        jobs.job_type(),
        # It had not completed its message, which is delivered again when the stage has ended.
        (Life(running("run_job_message"), dies_at=CLOSED), Life(running("run_tasks"), after=end_locks)),
    ),
)
