"""The app's own deadlines, made so long that only a real fault reaches them.

A busy machine holds threads and processes up for seconds. A test that is about a deadline sets its own.
"""

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from engine.jobs import submission_check
from engine.jobs.queue_reader import QueueReader
from engine.tasks import worker
from local import postgres as local_postgres
from repositories import (
    blob_storage,
    guarded_connection,
    migrations,
    pool,
    postgres,
    queue_counts,
    service_bus,
    storage_account,
    storage_queue_counts,
    transaction_limits,
    transactions,
)
from repositories.service_bus import Deadlines
from repositories.storage_poison_queues import StoragePoisonQueues
from repositories.storage_queues import StorageQueueRepository
from tests.support.defaults import set_defaults
from tests.support.waiting import LONG_SECONDS

LONG_DATABASE_DEADLINES: Mapping[str, str] = {
    "DATABASE_LOCK_TIMEOUT_SECONDS": str(LONG_SECONDS),
    "DATABASE_STATEMENT_TIMEOUT_SECONDS": str(LONG_SECONDS),
}
"""Settings of an app: by default, it gives a statement 20 s and a lock 5 s."""

LONG_DEADLINES: Mapping[str, str] = {
    **LONG_DATABASE_DEADLINES,
    # A run starts no task in the second half of a lease.
    "LEASE_SECONDS": str(LONG_SECONDS),
}
"""Those and the leases, where no test waits for the end of one."""

_CONSTANTS = (
    *((module, "CHECK_SECONDS") for module in (guarded_connection, pool, postgres)),
    *((module, "CONNECT_TIMEOUT_SECONDS") for module in (pool, migrations)),
    *((module, name) for module in (blob_storage, storage_account) for name in ("_CONNECT_SECONDS", "_READ_SECONDS")),
    (local_postgres, "_CONNECT_SECONDS"),
    (migrations, "_WAIT_SECONDS"),
    (postgres, "_MARGIN_SECONDS"),
    (storage_queue_counts, "_SECONDS"),
    (transactions, "_REPEAT_SECONDS"),
    (worker, "_CLAIM_AGAIN_SECONDS"),
)

_DEFAULTS: Mapping[Callable[..., object], tuple[str, ...]] = {
    transaction_limits.limits_of_kinds: ("lock_seconds", "statement_seconds", "job_type_statement_seconds"),
    transaction_limits.TransactionLimits.__init__: ("lock_seconds", "statement_seconds", "idle_seconds"),
    pool.ConnectionPool.__init__: ("wait_seconds",),
    StorageQueueRepository.__init__: ("send_seconds", "ping_seconds"),
    StoragePoisonQueues.__init__: ("seconds",),
    QueueReader.__init__: ("broker_seconds", "database_seconds"),
    submission_check.SubmissionCheck.__init__: ("seconds",),
    blob_storage.AzureBlobStore.__init__: ("seconds",),
}


def lengthen_deadlines(patch: pytest.MonkeyPatch) -> None:
    """Lengthens the deadlines of this process."""
    for module, name in _CONSTANTS:
        patch.setattr(module, name, round(LONG_SECONDS))  # libpq takes whole seconds
    for function, names in _DEFAULTS.items():
        set_defaults(patch, function, **dict.fromkeys(names, LONG_SECONDS))
    for name in ("connection_timeout", "read_timeout"):
        patch.setitem(queue_counts._OPTIONS, name, LONG_SECONDS)
    patch.setattr(service_bus, "Deadlines", partial(Deadlines, *[LONG_SECONDS] * 4))
    patch.setattr(pool, "_CHECK_AFTER_IDLE_SECONDS", 3600.0)  # a check is one more statement
