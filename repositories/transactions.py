"""The two ways into a transaction.

`transact` is for transactions that write: they take locks, may lose a deadlock, and are then repeated.
`database.transaction()` is for transactions that only read, and for the one that sends messages before it commits, in
an atomic dispatch: it must not be repeated, because a send cannot be rolled back. Job types write with
`Services.transact`, which is the same: a lost deadlock costs their tasks no attempt.
`tests/unit/test_unrepeated_writes.py` checks the rule for both.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from core.errors import TransactionConflictError
from repositories.ports import Database, TransactionKind, UnitOfWork

logger = logging.getLogger(__name__)

_ATTEMPTS = 5

_REPEAT_SECONDS = 3.0
"""After this time the transaction is not repeated: the lock that it waits for may be held for long, and other callers
need the thread and the connection."""

T = TypeVar("T")


def transact(
    database: Database,
    action: Callable[[UnitOfWork], T],
    kind: TransactionKind = TransactionKind.SHORT,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Runs an action in a transaction, and repeats it when it loses a deadlock.

    All transactions take locks in the same order, so deadlocks are rare. Repeating the transaction here is cheaper than
    having the broker deliver a hundred messages again.

    Args:
        database: opens the transaction.
        action: may run several times, so it must have no effect outside the transaction, and must not use up an
            iterator that was opened before.
        kind: what the transaction does; decides its limits.
        clock: a monotonic clock, in seconds; limits how long the transaction is repeated.

    Raises:
        TransactionConflictError: the transaction lost five times in a row, or for 3 s.
        LockTimeoutError: another transaction holds a lock for longer than the limit.
        LockstepError: any other error of the action; the action is not repeated.
    """
    until = clock() + _REPEAT_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with database.transaction(kind) as work:
                return action(work)
        except TransactionConflictError as exc:
            if attempt == _ATTEMPTS or clock() >= until:
                raise
            logger.warning("a transaction lost a conflict and is repeated: %s", exc)
    raise AssertionError("unreachable")
