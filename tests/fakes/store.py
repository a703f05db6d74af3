"""Rows in memory, with transactions as PostgreSQL has them at READ COMMITTED.

A transaction sees what is committed and its own changes. A row that it touches stays locked until it
ends; another transaction that wants the row waits, then sees what the first has left.
"""

import itertools
import threading
from datetime import datetime
from typing import Any

from core.errors import DatabaseError, TransactionConflictError

RowKey = tuple[str, Any]


class Store:
    """What is committed, and who holds which row."""

    def __init__(self) -> None:
        self.committed: dict[str, dict[Any, Any]] = {}
        self.owners: dict[RowKey, Transaction] = {}
        self.key_sharers: dict[RowKey, list[Transaction]] = {}
        """Who keeps a row from being locked FOR UPDATE."""
        self.key_owners: dict[RowKey, Transaction] = {}
        """Who has locked a row FOR UPDATE."""
        self.changed = threading.Condition()
        self.waiting = 0
        """How many transactions wait for a row."""
        self.ids = itertools.count(1)
        """As a sequence: a transaction that is rolled back leaves a gap."""
        self.writers: dict[RowKey, int] = {}
        """The number of the transaction that has written a row; a transaction gets it when it first writes."""
        self.writing: set[int] = set()
        """The transactions that have a number and have not ended."""
        self.next_writer = 1

    def wait_for(self, owner: "Transaction") -> None:
        """Waits, holding `changed`, until `owner` may have ended."""
        assert owner.thread != threading.get_ident(), "a thread waits for a row that it holds in another transaction"
        self.changed.wait()


class Transaction:
    """The changes and locks of one transaction.

    Attributes:
        started_at: what `now()` gives in SQL, the same during the whole transaction.
        thread: the thread that began it.
    """

    def __init__(self, store: Store, started_at: datetime) -> None:
        self.started_at = started_at
        self.thread = threading.get_ident()
        self._store = store
        self._changes: dict[str, dict[Any, Any]] = {}
        self._waits_for: Transaction | None = None
        self._failed = False
        self._number = 0

    def commit(self) -> None:
        """Makes the changes visible and lets the rows go; a transaction with a failed statement changes nothing."""
        with self._store.changed:
            for table, rows in () if self._failed else self._changes.items():
                committed = self._store.committed.setdefault(table, {})
                for key, row in rows.items():
                    if row is None:
                        committed.pop(key, None)
                    else:
                        committed[key] = row
                        self._store.writers[table, key] = self._number
            self._end()

    def roll_back(self) -> None:
        """Forgets the changes and lets the rows go."""
        with self._store.changed:
            self._end()

    def view(self, table: str) -> dict[Any, Any]:
        """The rows that this transaction sees, by key."""
        self._refuse_if_failed()
        with self._store.changed:
            rows = {**self._store.committed.get(table, {}), **self._changes.get(table, {})}
        return {key: row for key, row in rows.items() if row is not None}

    def read(self, table: str, key: Any) -> Any:
        """One row that this transaction sees, or None."""
        self._refuse_if_failed()
        with self._store.changed:
            changes = self._changes.get(table, {})
            return changes[key] if key in changes else self._store.committed.get(table, {}).get(key)

    def lock(self, table: str, key: Any) -> Any:
        """Waits for the row, holds it until the end, and returns it, or None when there is none.

        Raises:
            TransactionConflictError: two transactions wait for each other.
        """
        with self._store.changed:
            owner = self._store.owners.setdefault((table, key), self)
            while owner is not self:
                self._wait_for(owner)
                owner = self._store.owners.setdefault((table, key), self)
        return self.read(table, key)

    def lock_free(self, table: str, key: Any) -> Any:
        """Holds the row until the end, and returns it; None when there is none, or another transaction holds it."""
        with self._store.changed:
            if self._store.owners.setdefault((table, key), self) is not self:
                return None
        return self.read(table, key)

    def lock_for_update(self, table: str, key: Any) -> Any:
        """As `lock`, and waits for those that share the key, as FOR UPDATE does and an UPDATE does not."""
        row = self.lock(table, key)
        with self._store.changed:
            self._store.key_owners[table, key] = self
            while others := [each for each in self._store.key_sharers.get((table, key), []) if each is not self]:
                self._wait_for(others[0])
        return row if row is None else self.read(table, key)

    def share_key(self, table: str, key: Any) -> Any:
        """Keeps others from locking the row FOR UPDATE until the end, as FOR KEY SHARE does; returns the row, or None.

        Raises:
            TransactionConflictError: two transactions wait for each other.
        """
        with self._store.changed:
            while (owner := self._store.key_owners.get((table, key), self)) is not self:
                self._wait_for(owner)
            self._store.key_sharers.setdefault((table, key), []).append(self)
        return self.read(table, key)

    def write(self, table: str, key: Any, row: Any) -> None:
        """Writes a row that is locked; None deletes it."""
        self._refuse_if_failed()
        if not self._number:
            with self._store.changed:
                self._number = self._store.next_writer
                self._store.next_writer += 1
                self._store.writing.add(self._number)
        self._changes.setdefault(table, {})[key] = row

    def writer(self, table: str, key: Any) -> int:
        """The number of the transaction that has written a row."""
        return self._number if key in self._changes.get(table, {}) else self._store.writers[table, key]

    def oldest_writer(self) -> int:
        """All transactions with a lower number have ended."""
        with self._store.changed:
            return min(self._store.writing, default=self._store.next_writer)

    def next_id(self) -> int:
        """An id that no other row gets."""
        return next(self._store.ids)

    def fail(self, error: DatabaseError) -> DatabaseError:
        """Notes that a statement failed: from here on this transaction can only be rolled back."""
        self._failed = True
        return error

    def _refuse_if_failed(self) -> None:
        if self._failed:
            raise DatabaseError("current transaction is aborted, commands are ignored until its end")

    def _wait_for(self, owner: "Transaction") -> None:
        waiting: Transaction | None = owner
        while waiting is not None:
            if waiting is self:
                raise self.fail(TransactionConflictError("deadlock detected"))
            waiting = waiting._waits_for
        self._waits_for = owner
        self._store.waiting += 1
        try:
            self._store.wait_for(owner)
        finally:
            self._store.waiting -= 1
            self._waits_for = None

    def _end(self) -> None:
        self._store.writing.discard(self._number)
        for owners in (self._store.owners, self._store.key_owners):
            for key in [key for key, owner in owners.items() if owner is self]:
                del owners[key]
        for sharers in self._store.key_sharers.values():
            sharers[:] = [each for each in sharers if each is not self]
        self._store.changed.notify_all()
