from collections.abc import Iterable

from controllers import authoring as lockstep

_QUERIES = lockstep.queries.beside(__file__, "ingested_rows")


class IngestedRows:
    """The table `ingested_rows`."""

    def __init__(self, rows: lockstep.Rows) -> None:
        self._rows = rows

    def replace_chunk(self, job_id: str, chunk_index: int, rows: Iterable[tuple[int, str]]) -> int:
        """Replaces a chunk's rows by (row number in the chunk, JSON text of the row); returns the number of rows."""
        self._rows.execute(_QUERIES["clear_chunk"], {"job_id": job_id, "chunk_index": chunk_index})
        lines = (lockstep.copy_line(job_id, chunk_index, number, data) for number, data in rows)
        return self._rows.copy(_QUERIES["copy_rows"], lines)

    def clear_from(self, job_id: str, chunk_index: int) -> int:
        """Deletes the rows of this chunk and of all later chunks; returns the number of deleted rows."""
        return self._rows.execute(_QUERIES["clear_from"], {"job_id": job_id, "chunk_index": chunk_index})

    def count(self, job_id: str) -> int:
        """Counts the rows that a job has loaded."""
        return int(self._rows.one(_QUERIES["count"], {"job_id": job_id})["rows"])
