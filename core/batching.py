"""Cuts a stream of definitions into aligned batches, lazily."""

from collections.abc import Callable, Iterable, Iterator

from core.definitions import AlignedBatch, TaskDefinition
from core.errors import StageDefinitionError
from core.ids import MAX_STAGE_TASKS
from core.lanes import Lane

BATCH_SIZE = 100
"""Tasks in a full batch: Service Bus takes at most 100 messages in one transaction.

Source: "Service Bus quotas", learn.microsoft.com, "Number of messages per transaction".
"""


def aligned_batches(
    job_id: str,
    stage: int,
    definitions: Iterable[TaskDefinition],
    lane_of: Callable[[str], Lane],
    batch_size: int = BATCH_SIZE,
) -> Iterator[AlignedBatch]:
    """Cuts a stage's definitions into batches of one lane each; holds at most one incomplete batch per lane.

    The cuts depend on the definitions alone, so a replay cuts at the same places.

    Args:
        job_id: 32 hex digits.
        stage: from 1.
        definitions: read lazily, once.
        lane_of: returns the lane of a task type.
        batch_size: tasks in a full batch; 1 queues tasks one by one.

    Raises:
        StageDefinitionError: an index is out of order, or there are too many tasks.
    """
    open_batches: dict[Lane, list[TaskDefinition]] = {}
    batch_index = 0
    for expected_index, definition in enumerate(definitions):
        if definition.index != expected_index or expected_index >= MAX_STAGE_TASKS:
            raise StageDefinitionError(
                f"stage {stage} yields task index {definition.index} where {expected_index} is expected; "
                f"indexes count 0, 1, 2, ... up to {MAX_STAGE_TASKS - 1:,}"
            )
        lane = lane_of(definition.task_type)
        waiting = open_batches.setdefault(lane, [])
        waiting.append(definition)
        if len(waiting) == batch_size:
            yield AlignedBatch(job_id, stage, batch_index, lane, tuple(waiting))
            batch_index += 1
            open_batches[lane] = []
    for lane, waiting in open_batches.items():
        if waiting:
            yield AlignedBatch(job_id, stage, batch_index, lane, tuple(waiting))
            batch_index += 1
