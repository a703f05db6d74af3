from collections import deque

from core.errors import NonDeterministicStageError
from core.models import Batch, StageKey
from repositories.ports import Database, TransactionKind

_PAGE = 500


class EarlierBatches:
    """The batches that earlier dispatches of a stage have written after a batch, read page by page in index order.

    Args:
        database: holds the batches.
        key: the stage.
        after_index: the index of the batch.
        is_new: whether this is the first dispatch of the stage, so that there are none.
    """

    def __init__(self, database: Database, key: StageKey, after_index: int = -1, *, is_new: bool = False) -> None:
        self._database = database
        self._key = key
        self._page: deque[Batch] = deque()
        self._last_index = after_index
        self._exhausted = is_new

    def find(self, batch_index: int) -> Batch | None:
        """Returns the batch with this index, or None; call it with increasing indexes."""
        while True:
            if not self._page and not self._exhausted:
                self._fetch()
            if not self._page or self._page[0].batch_index > batch_index:
                return None
            batch = self._page.popleft()
            if batch.batch_index == batch_index:
                return batch

    def expect_no_more(self) -> None:
        """Checks that the replay yielded every batch of the earlier dispatch.

        Raises:
            NonDeterministicStageError: an earlier dispatch wrote batches that the replay did not yield.
        """
        if not self._page and not self._exhausted:
            self._fetch()
        if self._page:
            raise NonDeterministicStageError(f"batch {self._page[0].batch_id} was queued, and has no tasks now")

    def _fetch(self) -> None:
        with self._database.transaction(TransactionKind.ONE_STATEMENT) as work:
            page = work.batches.page(self._key, self._last_index, _PAGE)
        self._page.extend(page)
        self._exhausted = len(page) < _PAGE
        if page:
            self._last_index = page[-1].batch_index
