from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from core.errors import ConstraintViolationError, DatabaseError, RefusedValueError
from tests.fakes.store import Transaction

Key = TypeVar("Key")
Row = TypeVar("Row")


class Table(Generic[Key, Row]):
    """One table within one transaction.

    Args:
        checks: its CHECK constraints by name: whether a row satisfies each.
    """

    def __init__(self, transaction: Transaction, name: str, checks: Mapping[str, Callable[[Row], bool]]) -> None:
        self._transaction = transaction
        self._name = name
        self._checks = checks

    def get(self, key: Key) -> Row | None:
        """The row, or None."""
        row: Row | None = self._transaction.read(self._name, key)
        return row

    def all_keys(self) -> list[Key]:
        """All keys in order."""
        return sorted(self._transaction.view(self._name))

    def rows(self) -> list[Row]:
        """All rows in key order."""
        view = self._transaction.view(self._name)
        return [view[key] for key in sorted(view)]

    def writer(self, key: Key) -> int:
        """The number of the transaction that has written the row."""
        return self._transaction.writer(self._name, key)

    def lock(self, key: Key) -> Row | None:
        """The row, held until the transaction ends, or None."""
        row: Row | None = self._transaction.lock(self._name, key)
        return row

    def lock_for_update(self, key: Key) -> Row | None:
        """As `lock`, but waits for those that share the key."""
        row: Row | None = self._transaction.lock_for_update(self._name, key)
        return row

    def share_key(self, key: Key) -> Row | None:
        """The row, or None; no other transaction locks it for update until this one ends."""
        row: Row | None = self._transaction.share_key(self._name, key)
        return row

    def lock_those(self, keys: Iterable[Key], wanted: Callable[[Row], bool] = lambda _: True) -> list[Row]:
        """Locks the wanted rows in the order of their keys, and returns those that are wanted still."""
        rows = []
        unique: set[Any] = set(keys)
        for key in sorted(unique):
            seen = self.get(key)
            if seen is not None and wanted(seen):
                row = self.lock(key)
                if row is not None and wanted(row):
                    rows.append(row)
        return rows

    def lock_free(self, keys: Iterable[Key], wanted: Callable[[Row], bool] = lambda _: True) -> list[Row]:
        """Like `lock_those`, but leaves out the rows that another transaction holds."""
        rows = []
        for key in dict.fromkeys(keys):
            seen = self.get(key)
            if seen is not None and wanted(seen):
                row: Row | None = self._transaction.lock_free(self._name, key)
                if row is not None and wanted(row):
                    rows.append(row)
        return rows

    def insert(self, key: Key, row: Row) -> bool:
        """Inserts a row; False when the key is taken."""
        if self.lock(key) is not None:
            return False
        self.update(key, row)
        return True

    def update(self, key: Key, row: Row) -> None:
        """Replaces a locked row.

        Raises:
            ConstraintViolationError: the new one breaks a CHECK; PostgreSQL tries them in the order of names.
        """
        broken = [name for name, holds in self._checks.items() if not holds(row)]
        if broken:
            raise self.violation(min(broken))
        self._transaction.write(self._name, key, row)

    def delete(self, key: Key) -> None:
        """Deletes a row."""
        self.lock(key)
        self._transaction.write(self._name, key, None)

    def violation(self, constraint: str) -> DatabaseError:
        """The error to raise for a broken constraint."""
        message = f'a row of relation "{self._name}" violates constraint "{constraint}"'
        return self._transaction.fail(ConstraintViolationError(message, constraint))

    def refusal(self, message: str) -> DatabaseError:
        """The error to raise for a value that no column can hold."""
        return self._transaction.fail(RefusedValueError(message))
