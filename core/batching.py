"""Cuts a stream of definitions into aligned batches, lazily."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from core.checkpoints import START, Checkpoint
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import StageDefinitionError
from core.ids import MAX_STAGE_TASKS
from core.lanes import Lane

BATCH_SIZE = 100
"""Tasks in a full batch: Service Bus takes at most 100 messages in one transaction.

Source: "Service Bus quotas", learn.microsoft.com, "Number of messages per transaction".
"""

MOST_BETWEEN_CHECKPOINTS = 500
"""Tasks with cursors after which incomplete batches are closed, because a checkpoint has no task before it without a
batch. Tasks of one lane reach a checkpoint with every full batch; tasks of two lanes hardly ever without this."""


def aligned_batches(
    job_id: str,
    stage: int,
    definitions: Iterable[TaskDefinition],
    lane_of: Callable[[str], Lane],
    batch_size: int = BATCH_SIZE,
    start: Checkpoint = START,
) -> Iterator[AlignedBatch]:
    """Cuts a stage's definitions into batches of one lane each; holds at most one incomplete batch per lane.

    The cuts depend on the definitions alone, so a replay cuts at the same places, from the start of the stage or from
    any checkpoint.

    Args:
        job_id: 32 hex digits.
        stage: from 1.
        definitions: read lazily, once. They begin at the checkpoint, or at index 0, as those of a controller that
            knows no cursors.
        lane_of: returns the lane of a task type.
        batch_size: tasks in a full batch; 1 queues tasks one by one.
        start: the checkpoint.

    Raises:
        StageDefinitionError: an index is out of order, or there are too many tasks.
    """
    definitions = iter(definitions)
    first = next(definitions, None)
    if first is None:
        return
    cutter = _Cutter(job_id, stage, batch_size, START if first.index == 0 else start)
    for expected_index, definition in enumerate(chain([first], definitions), cutter.last.tasks):
        if definition.index != expected_index or expected_index >= MAX_STAGE_TASKS:
            raise StageDefinitionError(
                f"stage {stage} yields task index {definition.index} where {expected_index} is expected; "
                f"indexes count 0, 1, 2, ... up to {MAX_STAGE_TASKS - 1:,}"
            )
        lane = lane_of(definition.task_type)
        waiting = cutter.open.setdefault(lane, [])
        waiting.append(definition)
        if definition.cursor is not None and cutter.reaches_checkpoint(expected_index):
            yield from cutter.close_all(definition)
        elif len(waiting) == batch_size:
            yield cutter.close(lane)
    yield from cutter.close_all()


class _Cutter:
    """The incomplete batches of each lane.

    Attributes:
        open: their definitions. Lanes stay in the order of their first task since the last checkpoint.
        last: the last checkpoint.
    """

    def __init__(self, job_id: str, stage: int, batch_size: int, start: Checkpoint) -> None:
        self.open: dict[Lane, list[TaskDefinition]] = {}
        self.last = start
        self._job_id = job_id
        self._stage = stage
        self._batch_size = batch_size
        self._batch_index = start.batches

    def reaches_checkpoint(self, index: int) -> bool:
        """Whether the stage can go on after the task with this index, which has a cursor."""
        if index + 1 - self.last.tasks >= MOST_BETWEEN_CHECKPOINTS:
            return True
        return all(len(waiting) in {0, self._batch_size} for waiting in self.open.values())

    def close(self, lane: Lane, checkpoint: Checkpoint | None = None) -> AlignedBatch:
        """Returns the batch of a lane, and begins another one."""
        definitions, self.open[lane] = self.open[lane], []
        self._batch_index += 1
        return AlignedBatch(self._job_id, self._stage, self._batch_index - 1, lane, tuple(definitions), checkpoint)

    def close_all(self, last: TaskDefinition | None = None) -> Iterator[AlignedBatch]:
        """Yields the batches of all lanes; with the last of them, a checkpoint after a definition that has a cursor."""
        lanes = [lane for lane, waiting in self.open.items() if waiting]
        if last is not None:
            self.last = Checkpoint(last.index + 1, self._batch_index + len(lanes), last.cursor)
        for lane in lanes:
            yield self.close(lane, self.last if last is not None and lane == lanes[-1] else None)
        if last is not None:
            self.open.clear()
