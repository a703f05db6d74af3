from core.batching import BATCH_SIZE
from core.models import StageKey
from repositories.ports import Database

_REPLAYED_PER_TASK_OUT = 4
"""A dispatch without cursors is replayed from its start whenever it goes on. If a quarter of the replayed tasks may be
out, and half of them end meanwhile, the stage grows by an eighth each time. So each of its tasks is yielded at most
eight times, however large it is (docs/decisions/0018)."""

_LEAST_PART = 8
"""A dispatch that finds less than this part of its bound free waits: it would soon ask again."""


class DispatchRoom:
    """How many more tasks of a stage may be dispatched: the bound, less the tasks that are out.

    A task is out when its row is written and it has not ended. Only the holder of the dispatch lease writes rows, so
    the number of tasks that are out does not grow between a reading and the next batch.

    Attributes:
        bound: how many tasks may be out.
    """

    def __init__(self, database: Database, key: StageKey, ahead: int) -> None:
        self.bound = ahead
        self._database = database
        self._key = key
        self._ahead = ahead
        self._enough_for = ahead

    @property
    def low(self) -> int:
        """With so few tasks out, the dispatch goes on: half the bound, so that the workers always have tasks."""
        return low_mark(self.bound)

    def left(self) -> int:
        """Reads how many more tasks may be out."""
        with self._database.transaction() as work:
            return self.bound - work.stops.live_batches(self._key).open_tasks

    def is_enough(self, total_tasks: int) -> bool:
        """Whether the stage may have so many tasks, as far as is known without reading rows."""
        return total_tasks <= self._enough_for

    def find(self, total_tasks: int, task_count: int, replayed_tasks: int) -> bool:
        """Reads whether a batch may be written while no batch is in flight.

        Args:
            total_tasks: tasks of the stage before the batch.
            task_count: tasks of the batch.
            replayed_tasks: tasks that are yielded again if the dispatch stops here.
        """
        self.bound = max(self._ahead, replayed_tasks // _REPLAYED_PER_TASK_OUT)
        left = self.left()
        if left < max(task_count, self.bound // _LEAST_PART):
            return False
        self._enough_for = total_tasks + left
        return True


def low_mark(bound: int) -> int:
    """Returns the number of tasks out at which a dispatch that waits for room goes on; there is room for a batch."""
    return max(min(bound // 2, bound - BATCH_SIZE), 0)
