"""Runs one timer function: acquires the timer's lease and invokes the function when it is due."""

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

# How .NET serializes a time that was never set.
_NEVER = "0001-01-01T00:00:00+00:00"


class Timer:
    """Runs a function on its schedule while this host holds the timer's lease, until ``stopping`` is set.

    Runs never overlap: occurrences that fall due during a run cause one more run after it.
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
        """Acquire the lease and run the function on its schedule; acquire the lease again after losing it."""
        logged = False
        while not self._stopping.is_set():
            try:
                held = self._store.acquire(self._function.name)
            except TimerStoreError as exc:
                self._failed(exc)
                continue
            self._reached()
            if held:
                logged = False
                self._fire(held.status if self._function.monitored else None)
                continue
            if not logged:
                logged = True
                logger.info("Timer %s runs on another host", self._function.name)
            self._stopping.wait(_RENEW_SECONDS)

    def _fire(self, stored: ScheduleStatus | None) -> None:
        """Run the function on its schedule until the host stops or loses the lease."""
        now = datetime.now(UTC)
        status = status_at_start(self._function.schedule, stored, now)
        past_due = status.next < now
        at_once = past_due or self._function.run_on_startup
        logger.info("Timer %s runs on this host; next run at %s", self._function.name, _text(status.next))
        while self._keep(status):
            wait = (status.next - datetime.now(UTC)).total_seconds()
            if at_once or wait <= 0:
                status = self._invoke(status, past_due=past_due)
                at_once = past_due = False
            else:
                self._stopping.wait(min(wait, _RENEW_SECONDS))
        self._release(status)

    def _invoke(self, status: ScheduleStatus, *, past_due: bool) -> ScheduleStatus:
        """Run the function once, and renew the lease during the run."""
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
            logger.warning("Another host has acquired timer %s while its function still runs here", self._function.name)
        return kept

    def _keep(self, status: ScheduleStatus) -> bool:
        """Renew the lease, retrying while the store is unavailable; False after a stop or if the lease is lost."""
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
        # The first failure may be a connection that a database restart closed; the second is an outage.
        if self._failures:
            self._outage.begin(self, error)
        self._failures += 1
        self._stopping.wait(_RETRY_SECONDS)


def _info(schedule: Schedule, status: ScheduleStatus | None, *, past_due: bool) -> dict[str, object]:
    """The TimerInfo of .NET as JSON; a timer without a schedule monitor has no status."""
    shown = status and {
        "Last": _text(status.last) if status.last else _NEVER,
        "Next": _text(status.next),
        "LastUpdated": _text(status.last_updated),
    }
    return {"Schedule": {"AdjustForDST": schedule.adjust_for_dst}, "ScheduleStatus": shown, "IsPastDue": past_due}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
