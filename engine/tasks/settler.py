from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.tasks.recorder import Recorder
from engine.tasks.releaser import Releaser
from engine.tasks.task_runner import Claimed, Ran


class Settler:
    """Writes down what came of a run.

    Args:
        recorder: writes the outcomes.
        releaser: takes what was not run to its end.
        limits: how long that is tried.
        outages: waits for what is away.
    """

    def __init__(self, recorder: Recorder, releaser: Releaser, limits: Limits, outages: OutageWaiter) -> None:
        self._recorder = recorder
        self._releaser = releaser
        self._lease_seconds = limits.lease_seconds
        self._outages = outages

    def settle(self, claimed: Claimed, ran: Ran) -> set[str]:
        """Records the outcomes, and hands back what the run could not.

        Returns:
            The tasks that were recorded or handed back.

        Raises:
            LockstepError: infrastructure failed for longer than it is waited for.
        """
        settled = set(ran.handed_back)
        if ran.outcomes:
            settled |= self._recorder.record(claimed.queue_name, claimed.lease_id, ran.outcomes)
        if ran.unfinished:
            self._outages.run(
                lambda: self._releaser.hand_back(claimed.queue_name, ran.unfinished, claimed.lease_id),
                self._outages.deadline(self._lease_seconds),
            )
            settled |= {task.task_id for task in ran.unfinished}
        return settled
