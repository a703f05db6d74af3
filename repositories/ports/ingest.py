"""The port of the table ingested_rows."""

from collections.abc import Sequence
from typing import Protocol


class IngestRepository(Protocol):
    """The table `ingested_rows`, the target of the job type `ingest_csv`."""

    def replace_chunk(self, job_id: str, chunk_index: int, rows: Sequence[tuple[int, str]]) -> int:
        """Replaces a chunk's rows by (row_number in the chunk, JSON text of the row); returns how many."""
        ...

    def clear_from(self, job_id: str, chunk_index: int) -> int:
        """Deletes the rows of this chunk and of all later ones; returns how many."""
        ...

    def count(self, job_id: str) -> int:
        """The rows that a job has loaded."""
        ...
