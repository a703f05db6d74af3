from engine.handing_back import HandingBack
from engine.limits import Limits
from engine.outages import Patience
from engine.recording import Recorder
from engine.running import Claimed, Ran


class Settling:
    """Writes down what came of a run.

    Args:
        recorder: writes the outcomes.
        handing_back: takes what was not run to its end.
        limits: how long that is tried.
        patience: waits for what is away.
    """

    def __init__(self, recorder: Recorder, handing_back: HandingBack, limits: Limits, patience: Patience) -> None:
        self._recorder = recorder
        self._handing_back = handing_back
        self._lease_seconds = limits.lease_seconds
        self._patience = patience

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
            self._patience.see_through(
                lambda: self._handing_back.hand_back(claimed.queue_name, ran.unfinished, claimed.lease_id),
                self._patience.deadline(self._lease_seconds),
            )
            settled |= {task.task_id for task in ran.unfinished}
        return settled
