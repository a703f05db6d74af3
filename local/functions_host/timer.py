"""One timer of one host: waits for its turn, runs its function when it is due."""

import logging
import threading
from datetime import UTC, datetime

from local.functions_host.errors import TimerStoreError
from local.functions_host.functions import TimerFunction
from local.functions_host.invoker import Invocation
from local.functions_host.outage import Outage
from local.functions_host.protocol import TimerData
from local.functions_host.schedule import Schedule
from local.functions_host.schedule_status import ScheduleStatus, status_after_run, status_at_start
from local.functions_host.timer_store import LEASE_SECONDS, TimerStore
from local.functions_host.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

_RENEW_SECONDS = LEASE_SECONDS / 3
_RETRY_SECONDS = 0.5

# What .NET serializes for a time that was never set.
_NEVER = "0001-01-01T00:00:00+00:00"


class Timer:
    """Runs a function on its schedule until ``stopping`` is set; a run that is on then ends before.

    It waits for the lease of the timer first. One run follows the other: what falls due during a run comes after it,
    once.
    """

    def __init__(
        self, function: TimerFunction, store: TimerStore, pool: WorkerPool, outage: Outage, stopping: threading.Event
    ) -> None:
        self._function = function
        self._store = store
        self._pool = pool
        self._outage = outage
        self._stopping = stopping
        self._failures = 0

    def run(self) -> None:
        """Wait for the lease and use it; again, for as long as it takes, after it was lost."""
        told = False
        while not self._stopping.is_set():
            try:
                held = self._store.acquire(self._function.name)
            except TimerStoreError as exc:
                self._failed(exc)
                continue
            self._reached()
            if held:
                told = False
                self._fire(held.status if self._function.monitored else None)
                continue
            if not told:
                told = True
                logger.info("Timer %s runs on another host", self._function.name)
            self._stopping.wait(_RENEW_SECONDS)

    def _fire(self, stored: ScheduleStatus | None) -> None:
        """Run the function on its schedule until a stop or until the lease is lost."""
        now = datetime.now(UTC)
        status = status_at_start(self._function.schedule, stored, now)
        past_due = status.next < now
        at_once = past_due or self._function.run_on_startup
        logger.info("Timer %s runs on this host, next at %s", self._function.name, _text(status.next))
        while self._keep(status):
            wait = (status.next - datetime.now(UTC)).total_seconds()
            if at_once or wait <= 0:
                status = self._invoke(status, past_due=past_due)
                at_once = past_due = False
            else:
                self._stopping.wait(min(wait, _RENEW_SECONDS))
        self._release(status)

    def _invoke(self, status: ScheduleStatus, *, past_due: bool) -> ScheduleStatus:
        """Run the function once and renew the lease meanwhile."""
        started = datetime.now(UTC)
        shown = status if self._function.monitored else None
        data = TimerData(_info(self._function.schedule, shown, past_due=past_due))
        invocation = Invocation(self._function.name, self._pool, data)
        lost = False
        while True:
            try:
                invocation.result(_RENEW_SECONDS)
                break
            except TimeoutError:
                lost = lost or not self._renew(status)
        return status_after_run(self._function.schedule, started)

    def _renew(self, status: ScheduleStatus) -> bool:
        try:
            kept = self._store.keep(self._function.name, status)
        except TimerStoreError as exc:
            self._outage.begin(self, exc)
            return True
        self._reached()
        if not kept:
            logger.warning("Timer %s still runs here, and another host has taken it over", self._function.name)
        return kept

    def _keep(self, status: ScheduleStatus) -> bool:
        """Renew the lease, however long the store is away; False after a stop or when another host has the lease."""
        while not self._stopping.is_set():
            try:
                kept = self._store.keep(self._function.name, status)
            except TimerStoreError as exc:
                self._failed(exc)
                continue
            self._reached()
            return kept
        return False

    def _release(self, status: ScheduleStatus) -> None:
        try:
            self._store.release(self._function.name, status)
        except TimerStoreError as exc:
            self._outage.begin(self, exc)

    def _reached(self) -> None:
        self._failures = 0
        self._outage.end(self)

    def _failed(self, error: TimerStoreError) -> None:
        # One failure is a lost connection, as a restart of the database leaves; in an outage connecting fails too.
        if self._failures:
            self._outage.begin(self, error)
        self._failures += 1
        self._stopping.wait(_RETRY_SECONDS)


def _info(schedule: Schedule, status: ScheduleStatus | None, *, past_due: bool) -> dict[str, object]:
    """The TimerInfo of .NET as JSON; without a schedule monitor it has no status."""
    shown = status and {
        "Last": _text(status.last) if status.last else _NEVER,
        "Next": _text(status.next),
        "LastUpdated": _text(status.last_updated),
    }
    return {"Schedule": {"AdjustForDST": schedule.adjust_for_dst}, "ScheduleStatus": shown, "IsPastDue": past_due}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
