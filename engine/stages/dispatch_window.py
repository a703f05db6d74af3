"""Dispatches the tasks of a stage: N batches in flight, bounded memory, resumable at any point."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from core.definitions import AlignedBatch
from core.errors import DispatchLeaseLostError, NonDeterministicStageError, SliceEnded
from core.models import Batch, PendingBatch, StageKey
from core.statuses import BatchStatus
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.process.transactions import transact
from engine.stages.batch_sender import BatchSender
from repositories.ports import Database

logger = logging.getLogger(__name__)

_PAGE = 500
_REOPENED_AT_ONCE = 10


class DispatchWindow:
    """Takes the batches of one stage; implements `controllers.base.BatchWindow`.

    Batches that an earlier dispatch queued are skipped, those it left pending are sent again. Up to
    `dispatch_parallel` batches are worked on at once and as many more wait: memory is bounded by that,
    not by the stage.

    Args:
        database: where the rows of an earlier dispatch are found.
        sender: the protocols.
        limits: parallelism and times.
        shutdown: says when the process ends; then the slice does as well.
        stage: the stage.
        lease_id: this dispatcher's lease, held on entry.
    """

    def __init__(
        self,
        database: Database,
        sender: BatchSender,
        limits: Limits,
        shutdown: Shutdown,
        stage: StageKey,
        lease_id: str,
    ) -> None:
        self.total_tasks = 0
        self.total_batches = 0
        self.unsent_batches = 0
        self._database = database
        self._sender = sender
        self._limits = limits
        self._shutdown = shutdown
        self._stage = stage
        self._lease_id = lease_id
        self._earlier = _EarlierBatches(database, stage)
        # A slice is counted from its first new batch, or the first that it puts back: the replay before it is not its
        # work, and a slice that did nothing but replay would be followed by another one like it.
        self._slice_ends: float | None = None
        self._renew_at = time.monotonic() + limits.lease_seconds / 3
        self._executor: ThreadPoolExecutor | None = None
        self._in_flight: deque[Future[bool]] = deque()

    @contextmanager
    def open(self) -> Iterator["DispatchWindow"]:
        """Runs the threads for the length of a block and waits for all batches at its end.

        Raises:
            LockstepError: of a batch in flight.
        """
        with ThreadPoolExecutor(self._limits.dispatch_parallel, thread_name_prefix="dispatch") as self._executor:
            try:
                yield self
                self._drain(down_to=0)
            except SliceEnded:
                self._drain(down_to=0)  # what this slice has begun is its progress
                raise
            except BaseException:
                for future in self._in_flight:
                    future.cancel()
                raise

    def expect_no_more(self) -> None:
        """Checks that the replay came as far as the dispatch that it replays.

        Raises:
            NonDeterministicStageError: an earlier dispatch queued batches that this one did not yield.
        """
        self._earlier.expect_no_more()

    def put_back(self) -> None:
        """Puts back the batches that a stage which was opened again shall run, and sends them."""
        while self._reopen_some():
            self._begin_slice()
            self._keep_time()
        after_index = -1
        while page := self._pending(after_index):
            for batch in page:
                self._keep_time()
                self._start(partial(self._sender.resend, batch.batch_id, batch.lane))
            after_index = page[-1].batch_index
        self._drain(down_to=0)

    def _reopen_some(self) -> int:
        return transact(self._database, lambda work: work.stops.reopen_batches(self._stage, _REOPENED_AT_ONCE))

    def _pending(self, after_index: int) -> list[PendingBatch]:
        with self._database.transaction() as work:
            return work.batches.pending_of_stage(self._stage, after_index, _PAGE)

    def put_two_phase(self, batch: AlignedBatch) -> None:
        """Queues a batch by the two-phase protocol, or skips it."""
        self._put(batch, self._sender.two_phase)

    def put_atomic(self, batch: AlignedBatch) -> None:
        """Queues a batch by the atomic protocol, or skips it."""
        self._put(batch, self._atomic)

    def _atomic(self, batch: AlignedBatch) -> bool:
        self._sender.atomic(batch)
        return True

    def _put(self, batch: AlignedBatch, protocol: Callable[[AlignedBatch], bool]) -> None:
        self._keep_time()
        earlier = self._earlier.find(batch.batch_index)
        if earlier is None:
            self._start(partial(protocol, batch))
        elif earlier.digest != batch.digest:
            raise NonDeterministicStageError(
                f"batch {batch.batch_id} was queued with other tasks than create_stage_tasks yields now; "
                "it must yield the same tasks whenever it is called for the same job and stage"
            )
        elif earlier.status == BatchStatus.PENDING_QUEUE:
            self._start(partial(self._sender.resend, batch.batch_id, batch.lane))
        self.total_tasks += batch.task_count
        self.total_batches += 1

    def _start(self, action: Callable[[], bool]) -> None:
        assert self._executor is not None, "put outside open()"
        self._begin_slice()
        self._in_flight.append(self._executor.submit(action))
        self._drain(down_to=2 * self._limits.dispatch_parallel)

    def _begin_slice(self) -> None:
        if self._slice_ends is None:
            self._slice_ends = time.monotonic() + self._limits.dispatch_slice_seconds

    def _drain(self, down_to: int) -> None:
        while len(self._in_flight) > down_to:
            if not self._in_flight.popleft().result():
                self.unsent_batches += 1

    def _keep_time(self) -> None:
        now = time.monotonic()
        if self._shutdown.requested or (self._slice_ends is not None and now >= self._slice_ends):
            raise SliceEnded(f"stage {self._stage.number} of job {self._stage.job_id} goes on in another slice")
        if now >= self._renew_at:
            self._renew_at = now + self._limits.lease_seconds / 3
            with self._database.transaction() as work:
                if not work.stages.renew_dispatch_lease(self._stage, self._lease_id, self._limits.lease_seconds):
                    raise DispatchLeaseLostError(
                        f"stage {self._stage.number} of job {self._stage.job_id} was taken over"
                    )


class _EarlierBatches:
    """The batches that earlier dispatches of a stage have written, read page by page in index order."""

    def __init__(self, database: Database, stage: StageKey) -> None:
        self._database = database
        self._stage = stage
        self._page: deque[Batch] = deque()
        self._last_index = -1
        self._exhausted = False

    def find(self, batch_index: int) -> Batch | None:
        """The batch with this index, or None; to be called with rising indexes."""
        while True:
            if not self._page and not self._exhausted:
                self._fetch()
            if not self._page or self._page[0].batch_index > batch_index:
                return None
            batch = self._page.popleft()
            if batch.batch_index == batch_index:
                return batch

    def expect_no_more(self) -> None:
        """Checks that the replay came as far as the dispatch that it replays.

        Raises:
            NonDeterministicStageError: it did not.
        """
        if not self._page and not self._exhausted:
            self._fetch()
        if self._page:
            raise NonDeterministicStageError(
                f"batch {self._page[0].batch_id} was queued before, but create_stage_tasks yields no such batch now; "
                "it must yield the same tasks whenever it is called for the same job and stage"
            )

    def _fetch(self) -> None:
        with self._database.transaction() as work:
            page = work.batches.page(self._stage, self._last_index, _PAGE)
        self._page.extend(page)
        self._exhausted = len(page) < _PAGE
        if page:
            self._last_index = page[-1].batch_index
