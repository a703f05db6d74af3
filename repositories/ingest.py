from collections.abc import Sequence
from io import StringIO

from repositories import queries
from repositories.rows import Rows

_QUERIES = queries.load("ingest")

# The special characters of COPY's text format.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class PostgresIngestRepository:
    """The table `ingested_rows`; see `IngestRepository` in `repositories/ports/`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def replace_chunk(self, job_id: str, chunk_index: int, rows: Sequence[tuple[int, str]]) -> int:
        """Replaces a chunk's rows by (row_number, JSON text); returns how many."""
        self._rows.execute(_QUERIES["clear_chunk"], {"job_id": job_id, "chunk_index": chunk_index})
        lines = (f"{job_id}\t{chunk_index}\t{number}\t{data.translate(_ESCAPES)}\n" for number, data in rows)
        self._rows.copy(_QUERIES["copy_rows"], StringIO("".join(lines)))
        return len(rows)

    def clear_from(self, job_id: str, chunk_index: int) -> int:
        """Deletes the rows of this chunk and of all after it; returns how many."""
        return self._rows.execute(_QUERIES["clear_from"], {"job_id": job_id, "chunk_index": chunk_index})

    def count(self, job_id: str) -> int:
        """The rows that a job has loaded."""
        return int(self._rows.one(_QUERIES["count"], {"job_id": job_id})["rows"])
