from collections.abc import Iterable

from typing_extensions import override

from controllers.ingest_csv.ingested_rows import IngestedRows
from tests.fakes.store import Transaction
from tests.fakes.table import Table

IngestKey = tuple[str, int, int]


class FakeIngestedRows(IngestedRows):
    """`IngestedRows` in memory; the rows are kept as JSON text."""

    def __init__(self, transaction: Transaction) -> None:
        self._table: Table[IngestKey, str] = Table(transaction, "ingested_rows", {})

    @override
    def replace_chunk(self, job_id: str, chunk_index: int, rows: Iterable[tuple[int, str]]) -> int:
        for key in self.keys_of(job_id):
            if key[1] == chunk_index:
                self._table.delete(key)
        loaded = 0
        for number, data in rows:
            if not self._table.insert((job_id, chunk_index, number), data):
                raise self._table.violation("ingested_rows_pkey")
            loaded += 1
        return loaded

    @override
    def clear_from(self, job_id: str, chunk_index: int) -> int:
        cleared = [key for key in self.keys_of(job_id) if key[1] >= chunk_index]
        for key in cleared:
            self._table.delete(key)
        return len(cleared)

    @override
    def count(self, job_id: str) -> int:
        return len(self.keys_of(job_id))

    def keys_of(self, job_id: str) -> list[IngestKey]:
        """The (job_id, chunk_index, row_number) of a job's rows."""
        return [key for key in self._table.all_keys() if key[0] == job_id]

    def texts_of(self, job_id: str) -> list[str]:
        """The JSON texts of a job's rows, in the order of the file."""
        return [self._table.get(key) or "" for key in self.keys_of(job_id)]
