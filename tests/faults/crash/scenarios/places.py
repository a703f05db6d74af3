"""Points at which a process dies as part of a story."""

from dataclasses import replace

from tests.faults.crash.points import Point

DISPATCHED = Point("run_job_message", "BatchSender.two_phase", "commit of batch_create_tasks", "after")
CLOSED = Point("run_job_message", "StageDispatcher._close", "commit of finish_dispatch, finish_if_complete", "after")
CLAIMED = Point("run_tasks", "Worker._claim", "commit of claim", "after")
ENDED = Point(
    "run_tasks",
    "Recorder._write_or_keep_lease",
    "commit of record, finish_if_complete",
    "after",
)
CLAIMED_TOGETHER = Point("run_batch", "Worker._claim", "commit of claim_batch", "after")
RETRIES_UNSENT = Point("run_batch", "Recorder.record", "send to sb-tasks", "before")
ENDED_TOGETHER = replace(ENDED, function="run_batch")
ADVANCED = Point("run_job_message", "Advancer._start_next", "commit of advance, record_result, create", "after")
