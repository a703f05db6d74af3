import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from typing_extensions import override

from controllers.base import BatchWindow
from core.definitions import AlignedBatch
from core.errors import DispatchLeaseLostError, NonDeterministicStageError, SliceEnded
from core.models import PendingBatch, StageKey
from core.statuses import BatchStatus
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.earlier_batches import EarlierBatches
from repositories.ports import Database
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_PAGE = 500
_REOPENED_AT_ONCE = 10


class DispatchWindow(BatchWindow):
    """The batches of one stage that are in flight.

    It skips batches that an earlier dispatch has queued, and resends batches that are still pending. It sends
    `dispatch_parallel` batches at once and lets as many more wait, so memory does not grow with the size of the stage.

    Attributes:
        key: the stage.
        total_tasks: tasks put so far.
        total_batches: batches put so far.
        unsent_batches: batches that the broker did not take.
    """

    def __init__(
        self,
        database: Database,
        sender: BatchSender,
        limits: Limits,
        shutdown: Shutdown,
        lease: DispatchLease,
    ) -> None:
        self.key: StageKey = lease.key
        self.total_tasks = 0
        self.total_batches = 0
        self.unsent_batches = 0
        self._database = database
        self._sender = sender
        self._limits = limits
        self._shutdown = shutdown
        self._lease = lease
        self._earlier = EarlierBatches(database, lease.key)
        # A slice begins with its first new or reopened batch. If it began with the replay, a long replay would fill
        # this slice, and every later one.
        self._slice_ends: float | None = None
        self._renew_at = time.monotonic() + lease.seconds / 3
        self._executor: ThreadPoolExecutor | None = None
        self._in_flight: deque[Future[bool]] = deque()

    @contextmanager
    def open(self) -> Iterator["DispatchWindow"]:
        """Runs the threads during a block, and waits for all batches at its end.

        Raises:
            LockstepError: a batch in flight failed.
        """
        with ThreadPoolExecutor(self._limits.dispatch_parallel, thread_name_prefix="dispatch") as self._executor:
            try:
                yield self
                self._drain(down_to=0)
            except SliceEnded:
                self._drain(down_to=0)  # the batches in flight are the progress of this slice
                raise
            except BaseException:
                for future in self._in_flight:
                    future.cancel()
                raise

    @override
    def put_two_phase(self, batch: AlignedBatch) -> None:
        self._put(batch, self._sender.two_phase)

    @override
    def put_atomic(self, batch: AlignedBatch) -> None:
        self._put(batch, self._sender.atomic)

    def reopen_batches(self) -> None:
        """Makes the batches of a reopened stage pending again, and sends them.

        Raises:
            SliceEnded: the time of this slice is over.
            DispatchLeaseLostError: the stage is no longer dispatched here.
        """
        while transact(self._database, lambda work: work.stops.reopen_batches(self.key, _REOPENED_AT_ONCE)):
            self._begin_slice()
            self._keep_time()
        after_index = -1
        while page := self._pending(after_index):
            for batch in page:
                self._keep_time()
                self._start(partial(self._sender.resend, batch.batch_id, batch.lane))
            after_index = page[-1].batch_index
        self._drain(down_to=0)

    def expect_no_more(self) -> None:
        """Checks that the replay yielded every batch of the earlier dispatch.

        Raises:
            NonDeterministicStageError: an earlier dispatch wrote batches that this one did not yield.
        """
        self._earlier.expect_no_more()

    def _pending(self, after_index: int) -> list[PendingBatch]:
        with self._database.transaction() as work:
            return work.batches.pending_of_stage(self.key, after_index, _PAGE)

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

    def _drain(self, down_to: int) -> None:
        while len(self._in_flight) > down_to:
            if not self._in_flight.popleft().result():
                self.unsent_batches += 1

    def _begin_slice(self) -> None:
        if self._slice_ends is None:
            self._slice_ends = time.monotonic() + self._limits.dispatch_slice_seconds

    def _keep_time(self) -> None:
        """Ends the slice when its time is over; renews the lease every third of its length."""
        now = time.monotonic()
        if self._shutdown.requested or (self._slice_ends is not None and now >= self._slice_ends):
            raise SliceEnded(f"stage {self.key.number} of job {self.key.job_id} goes on in another slice")
        if now >= self._renew_at:
            self._renew_at = now + self._lease.seconds / 3
            if not self._lease.renew():
                raise DispatchLeaseLostError(f"stage {self.key.number} of job {self.key.job_id} was taken over")
