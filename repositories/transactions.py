"""The two ways into a transaction.

`transact` is for transactions that write: they take locks, may lose a deadlock, and are then repeated.
`database.transaction()` is for transactions that only read, and for the two that send messages before they commit:
these must not be repeated, because a send cannot be rolled back. Job types write with `Services.transact`, which is
the same: a lost deadlock costs their tasks no attempt. `tests/unit/test_unrepeated_writes.py` checks the rule for both.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from core.errors import TransactionConflictError
from repositories.ports import Database, UnitOfWork

logger = logging.getLogger(__name__)

_ATTEMPTS = 5

T = TypeVar("T")


def transact(database: Database, action: Callable[[UnitOfWork], T]) -> T:
    """Runs an action in a transaction, and repeats it when it loses a deadlock.

    All transactions take locks in the same order, so deadlocks are rare. Repeating the transaction here is cheaper than
    having the broker deliver a hundred messages again.

    Args:
        database: opens the transaction.
        action: may run several times, so it must have no effect outside the transaction, and must not use up an
            iterator that was opened before.

    Raises:
        TransactionConflictError: the transaction lost five times in a row.
        LockstepError: any other error of the action; the action is not repeated.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with database.transaction() as work:
                return action(work)
        except TransactionConflictError as exc:
            if attempt == _ATTEMPTS:
                raise
            logger.warning("a transaction lost a conflict and is repeated: %s", exc)
    raise AssertionError("unreachable")
