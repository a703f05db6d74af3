from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.tasks.recorder import Recorder
from engine.tasks.releaser import Releaser
from engine.tasks.task_runner import Claimed, Ran


class Settler:
    """Records the outcomes of a run, and releases its other tasks."""

    def __init__(self, recorder: Recorder, releaser: Releaser, limits: Limits, outages: OutageWaiter) -> None:
        self._recorder = recorder
        self._releaser = releaser
        self._lease_seconds = limits.lease_seconds
        self._outages = outages

    def settle(self, claimed: Claimed, ran: Ran) -> set[str]:
        """Records the outcomes of a run, and releases the tasks that the run itself could not release.

        Returns:
            The ids of the tasks that were recorded or released.

        Raises:
            LockstepError: an outage outlasted the lease.
        """
        settled = set(ran.released)
        if ran.outcomes:
            settled |= self._recorder.record(claimed.queue_name, claimed.lease_id, ran.outcomes)
        if ran.unfinished:
            self._outages.run(
                lambda: self._releaser.release(claimed.queue_name, ran.unfinished, claimed.lease_id),
                self._outages.deadline(self._lease_seconds),
            )
            settled |= {task.task_id for task in ran.unfinished}
        return settled
