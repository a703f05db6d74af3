"""Points at which a process dies as part of a story."""

from tests.faults.crash.points import Point

DISPATCHED = Point("run_job_message", "BatchSender.two_phase", "commit of batch_create_tasks", "after")
CLOSED = Point("run_job_message", "StageDispatcher._close", "commit of finish_dispatch, finish_if_complete", "after")
CLAIMED = Point("run_tasks", "Worker._claim", "commit of claim", "after")
ENDED = Point(
    "run_tasks",
    "Recorder._write_or_keep_lease",
    "commit of record, apply_outcomes, add_finished_batches, finish_if_complete",
    "after",
)
ADVANCED = Point("run_job_message", "Advancer._start_next", "commit of advance, record_result, create", "after")
