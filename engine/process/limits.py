from dataclasses import dataclass

from core.lanes import MessagePer


@dataclass(frozen=True)
class Limits:
    """The engine's sizes and times, and the name of its process.

    Attributes:
        worker: the name of this process in the rows of the tasks that it runs.
        dispatch_parallel: the most batches of a stage in flight at once.
        dispatch_ahead: how many tasks of a stage may be out and unfinished, at least 100.
        dispatch_slice_seconds: the length of a slice of a dispatch or an aggregation; another message then continues
            it. Far below the shortest function timeout of a plan (5 minutes, the default on Consumption).
        lease_seconds: how long a worker or a dispatcher may be silent before another one takes over. A little shorter
            than a message lock (60 s): when the broker delivers a message again, the lease has expired.
        sweep_age_seconds: how long a job or batch may be pending before the sweeper sends its messages.
        silence_seconds: the sweeper takes a message for lost when it is overdue for this long, or when nothing has
            happened in a running stage for this long. Longer than messages usually wait in a busy queue, because the
            sweeper cannot tell a waiting message from a lost one.
        retention_days: how long a job is kept after its end; 0 keeps it for ever.
        max_result_bytes: the maximum size of a task's result, and of its checkpoint, as JSON.
        max_aggregate_bytes: the maximum size of a stage's or a job's result as JSON.
        message_per: how the short tasks of a stage travel that does not say it.
    """

    worker: str = ""
    dispatch_parallel: int = 10
    dispatch_ahead: int = 5_000
    dispatch_slice_seconds: float = 120.0
    lease_seconds: float = 50.0
    sweep_age_seconds: float = 60.0
    silence_seconds: float = 300.0
    retention_days: int = 30
    max_result_bytes: int = 64 * 1024
    max_aggregate_bytes: int = 1024 * 1024
    message_per: MessagePer = MessagePer.TASK

    @property
    def idle_slice_seconds(self) -> float:
        """The length of a dispatch slice that has queued nothing yet: a short one is given time for its replay."""
        return max(self.dispatch_slice_seconds, 60.0)

    @property
    def aggregate_seconds(self) -> float:
        """How long an aggregation in one piece may take: 4 minutes by default, below 5 minutes as well."""
        return 2 * self.idle_slice_seconds
