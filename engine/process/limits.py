from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The engine's sizes and times.

    Attributes:
        dispatch_parallel: batches of a stage in flight at once.
        dispatch_slice_seconds: after this long a dispatch ends its slice and a message continues it, well inside the
            shortest function timeout of a plan (5 minutes on Consumption by default).
        lease_seconds: how long a worker or a dispatcher may be silent before another takes over. A little less than a
            message lock (60 s), so that a message that is delivered again finds the lease expired.
        sweep_age_seconds: how long a job or batch may be pending before the sweeper sends its messages.
        silence_seconds: how long a message may be overdue, or nothing may happen in a running stage, before the sweeper
            takes messages for lost; longer than the usual wait in a busy queue, which looks the same.
        retention_days: how long a job is kept after its end; 0 keeps it for ever.
        max_result_bytes: the most that a task's result may have as JSON.
        max_aggregate_bytes: the most that a stage's or a job's result may have as JSON.
    """

    dispatch_parallel: int = 4
    dispatch_slice_seconds: float = 120.0
    lease_seconds: float = 50.0
    sweep_age_seconds: float = 60.0
    silence_seconds: float = 300.0
    retention_days: int = 30
    max_result_bytes: int = 64 * 1024
    max_aggregate_bytes: int = 1024 * 1024
