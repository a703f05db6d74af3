"""The CHECK constraints of the migrations in Python: by name, whether a row satisfies each."""

import re
from collections.abc import Callable, Mapping

from core.statuses import (
    BATCH_ENDS,
    DEAD_LETTER_ENDS,
    JOB_ENDS,
    STAGE_ENDS,
    TASK_ENDS,
    BatchStatus,
    JobStatus,
    StageStatus,
    TaskStatus,
)
from repositories.ports import KeptDeadLetter
from tests.fakes.rows import BatchRow, JobRow, StageRow, TaskRow, from_json

JOB_CHECKS: Mapping[str, Callable[[JobRow], bool]] = {
    "jobs_job_id_check": lambda row: re.fullmatch(r"[0-9a-f]{32}", row.job_id) is not None,
    "jobs_job_type_check": lambda row: row.job_type != "",
    "jobs_parameters_check": lambda row: isinstance(from_json(row.parameters), dict),
    "jobs_total_stages_check": lambda row: 1 <= row.total_stages <= 99,
    "jobs_stage_in_range": lambda row: 0 <= row.stage <= row.total_stages,
    "jobs_started_has_stage": lambda row: (row.stage > 0) == (row.started_at is not None),
    "jobs_ended_has_finished_at": lambda row: (row.status in JOB_ENDS) == (row.finished_at is not None),
    "jobs_pruned_has_ended": lambda row: row.pruned_at is None or row.finished_at is not None,
    "jobs_failed_has_error": lambda row: row.status != JobStatus.FAILED or row.error is not None,
}

STAGE_CHECKS: Mapping[str, Callable[[StageRow], bool]] = {
    "stages_stage_check": lambda row: 1 <= row.number <= 99,
    "stages_name_check": lambda row: row.name != "",
    "stages_total_tasks_check": lambda row: row.total_tasks is None or row.total_tasks >= 0,
    "stages_total_batches_check": lambda row: row.total_batches is None or row.total_batches >= 0,
    "stages_max_failed_fraction_check": lambda row: 0 <= row.max_failed_fraction <= 1,
    "stages_totals_known_together": lambda row: (row.total_tasks is None) == (row.total_batches is None),
    "stages_running_has_totals": lambda row: (
        row.status not in (StageStatus.RUNNING, StageStatus.FINISHED) or row.total_tasks is not None
    ),
    "stages_batches_within_total": lambda row: row.total_batches is None or row.finished_batches <= row.total_batches,
    "stages_tasks_within_total": lambda row: row.total_tasks is None or row.ended_tasks <= row.total_tasks,
    "stages_finished_is_complete": lambda row: (
        row.status != StageStatus.FINISHED
        or (row.finished_batches == row.total_batches and row.ended_tasks == row.total_tasks)
    ),
    "stages_ended_has_finished_at": lambda row: (row.status in STAGE_ENDS) == (row.finished_at is not None),
    "stages_lease_is_whole": lambda row: (row.dispatch_lease_id is None) == (row.dispatch_lease_expires_at is None),
}

BATCH_CHECKS: Mapping[str, Callable[[BatchRow], bool]] = {
    "batches_batch_index_check": lambda row: row.batch_index >= 0,
    "batches_task_count_check": lambda row: 1 <= row.task_count <= 100,
    "batches_open_within_count": lambda row: 0 <= row.open_tasks <= row.task_count,
    "batches_outcomes_within_count": lambda row: (
        min(row.failed_tasks, row.cancelled_tasks) >= 0
        and row.failed_tasks + row.cancelled_tasks + row.open_tasks <= row.task_count
    ),
    "batches_finished_has_none_open": lambda row: row.status != BatchStatus.FINISHED or row.open_tasks == 0,
    "batches_queued_has_queued_at": lambda row: (
        row.status not in (BatchStatus.QUEUED, BatchStatus.FINISHED) or row.queued_at is not None
    ),
    "batches_ended_has_finished_at": lambda row: (row.status in BATCH_ENDS) == (row.finished_at is not None),
}

TASK_CHECKS: Mapping[str, Callable[[TaskRow], bool]] = {
    "tasks_task_type_check": lambda row: row.task_type != "",
    "tasks_task_index_check": lambda row: row.task_index >= 0,
    "tasks_leased_while_processing": lambda row: (
        (row.status == TaskStatus.PROCESSING) == (row.lease_id is not None)
        and (row.lease_id is None) == (row.lease_expires_at is None)
    ),
    "tasks_failures_within_attempts": lambda row: 0 <= row.failures <= row.attempt,
    "tasks_attempted_has_started": lambda row: row.attempt == 0 or row.started_at is not None,
    "tasks_retrying_has_not_before": lambda row: (row.status == TaskStatus.RETRYING) == (row.not_before is not None),
    "tasks_ended_has_finished_at": lambda row: (row.status in TASK_ENDS) == (row.finished_at is not None),
    "tasks_failed_has_error": lambda row: row.status != TaskStatus.FAILED or row.error is not None,
}

LETTER_CHECKS: Mapping[str, Callable[[KeptDeadLetter], bool]] = {
    "dead_letters_handled_has_handled_at": lambda row: (row.state in DEAD_LETTER_ENDS) == (row.handled_at is not None),
}
