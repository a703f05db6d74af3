"""The values that repositories take and return: frozen snapshots of rows, counts and outcomes."""

from core.models.batches import (
    Batch,
    LiveBatches,
    LostTask,
    OverdueBatch,
    PendingBatch,
    PrunedBatches,
    Resend,
    SilentBatches,
)
from core.models.stages import (
    FIRST_BATCHES,
    MOST_COUNTED_TASKS,
    SAMPLED_UNFINISHED_BATCHES,
    Job,
    Stage,
    StageCounts,
    StageKey,
    StageOpening,
    StageProgress,
)
from core.models.tasks import (
    MOST_ATTEMPT_ERRORS,
    MOST_NOTED_BATCHES,
    MOST_PROGRESS_NOTES,
    AttemptError,
    ProgressNote,
    Task,
    TaskError,
)

__all__ = [
    "FIRST_BATCHES",
    "MOST_ATTEMPT_ERRORS",
    "MOST_COUNTED_TASKS",
    "MOST_NOTED_BATCHES",
    "MOST_PROGRESS_NOTES",
    "SAMPLED_UNFINISHED_BATCHES",
    "AttemptError",
    "Batch",
    "Job",
    "LiveBatches",
    "LostTask",
    "OverdueBatch",
    "PendingBatch",
    "ProgressNote",
    "PrunedBatches",
    "Resend",
    "SilentBatches",
    "Stage",
    "StageCounts",
    "StageKey",
    "StageOpening",
    "StageProgress",
    "Task",
    "TaskError",
]
