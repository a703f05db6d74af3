from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers import authoring as lockstep
from controllers.ingest_csv.table_name import STAGING_PREFIX
from controllers.ingest_csv.typed_rows import TypedColumn

_QUERIES = lockstep.queries.beside(__file__, "typed_tables")


@dataclass(frozen=True)
class StagingTable:
    """The table that collects the rows of one job.

    Attributes:
        job_id: the job.
        schema: that of the table that the rows are for.
        columns: those of the file.
    """

    job_id: str
    schema: str
    columns: Sequence[TypedColumn]

    @property
    def name(self) -> str:
        """Its name without the schema."""
        return STAGING_PREFIX + self.job_id

    @property
    def chunk_column(self) -> str:
        """The column with the index of the chunk that a row is from."""
        name, given = "chunk_index", {column.name for column in self.columns}
        while name in given:
            name += "_"
        return name


@dataclass(frozen=True)
class AbandonedTable:
    """A row of `ingest_csv_tables` whose job is pruned, or ended long ago without a switch."""

    job_id: str
    submitted_at: datetime
    schema: str


class TypedTables:
    """The tables that jobs load into, their staging tables, and `ingest_csv_tables`."""

    def __init__(self, rows: lockstep.Rows) -> None:
        self._rows = rows

    def current_schema(self) -> str:
        """Returns the schema where Lockstep lives."""
        return str(self._rows.one(_QUERIES["current_schema"])["name"])

    def has_schema(self, schema: str) -> bool:
        """Whether the schema exists."""
        return bool(self._rows.one(_QUERIES["schemas"], {"schema": schema})["found"])

    def kind(self, schema: str, name: str) -> str | None:
        """Returns PostgreSQL's letter for the kind of a relation, "r" for a table; None when there is none."""
        found = self._rows.first(_QUERIES["relation"], {"schema": schema, "name": name})
        return None if found is None else str(found["kind"])

    def columns(self, schema: str, name: str) -> dict[str, str]:
        """Returns the types of the columns that an INSERT may give a value, by name."""
        found = self._rows.all(_QUERIES["columns"], {"schema": schema, "name": name})
        return {row["name"]: row["type"] for row in found}

    def begin(self, staging: StagingTable) -> None:
        """Creates the staging table; keeps one that an earlier run of the task has created.

        Creates none for a job that has switched: then this is a late run of the task. It waits for a switch.
        """
        job = {"job_id": staging.job_id}
        is_new = self._rows.execute(_QUERIES["begin"], {**job, "schema": staging.schema}) > 0
        known = self._rows.first(_QUERIES["begun"], job)
        if known is None or known["switched_at"] is not None or (self.exists(staging) and not is_new):
            return
        self._drop(staging.schema, staging.name)  # of an older job with this id
        definitions = [f"{lockstep.identifier(column.name)} {column.type}" for column in staging.columns]
        definitions.append(f"{lockstep.identifier(staging.chunk_column)} integer")
        self._run("create_staging", staging, definitions=", ".join(definitions))
        self._run("index_staging", staging)

    def exists(self, staging: StagingTable) -> bool:
        """Whether the staging table is there."""
        return self.kind(staging.schema, staging.name) is not None

    def replace_chunk(self, staging: StagingTable, chunk_index: int, rows: Iterable[Sequence[str | None]]) -> int:
        """Replaces a chunk's rows; returns the number of rows."""
        self._rows.all(_QUERIES["lock_chunk"], {"chunk": f"{staging.name} {chunk_index}"})
        self._run("clear_chunk", staging, {"chunk_index": chunk_index})
        lines = (lockstep.copy_line(chunk_index, *row) for row in rows)
        return self._rows.copy(lockstep.with_names(_QUERIES["copy_rows"], _names(staging, with_chunk=True)), lines)

    def has_switched(self, job_id: str) -> bool:
        """Whether the job's rows are in the table that they are for."""
        found = self._rows.first(_QUERIES["begun"], {"job_id": job_id})
        return found is not None and found["switched_at"] is not None

    def mark_switched(self, job_id: str) -> bool:
        """Takes the switch for this transaction; False when another one has switched, or the job is not known."""
        return self._rows.execute(_QUERIES["mark_switched"], {"job_id": job_id}) > 0

    def close(self, staging: StagingTable) -> int:
        """Keeps load tasks out, and counts the rows that they have loaded."""
        self._run("lock_staging", staging)
        return int(self._rows.one(lockstep.with_names(_QUERIES["count"], _names(staging)))["rows"])

    def create(self, staging: StagingTable, name: str) -> None:
        """Makes the staging table the table that the rows are for."""
        self._run("drop_chunk_column", staging)
        self._run("rename", staging, name=lockstep.identifier(name))

    def append(self, staging: StagingTable, name: str) -> None:
        """Copies the rows into an existing table, and drops the staging table."""
        self._run("append", staging, target=lockstep.identifier(staging.schema, name))
        self._drop(staging.schema, staging.name)

    def replace(self, staging: StagingTable, name: str) -> None:
        """Makes the staging table the table that the rows are for, in the place of one that may exist."""
        self._drop(staging.schema, name)
        self.create(staging, name)

    def abandoned(self, job_id: str) -> list[AbandonedTable]:
        """Returns some abandoned tables; first that of an older job with this id."""
        found = self._rows.all(_QUERIES["abandoned"], {"job_id": job_id})
        return [AbandonedTable(row["job_id"], row["submitted_at"], row["schema_name"]) for row in found]

    def drop_abandoned(self, table: AbandonedTable) -> None:
        """Drops a staging table if it is there, and forgets its job."""
        if self._rows.execute(_QUERIES["forget"], {"job_id": table.job_id, "submitted_at": table.submitted_at}):
            self._drop(table.schema, STAGING_PREFIX + table.job_id)

    def _drop(self, schema: str, name: str) -> None:
        self._rows.execute(lockstep.with_names(_QUERIES["drop"], {"table": lockstep.identifier(schema, name)}))

    def _run(
        self, query: str, staging: StagingTable, parameters: Mapping[str, Any] | None = None, **names: str
    ) -> None:
        text = lockstep.with_names(_QUERIES[query], _names(staging) | names, has_parameters=parameters is not None)
        self._rows.execute(text, parameters)


def _names(staging: StagingTable, *, with_chunk: bool = False) -> dict[str, str]:
    columns = [*([staging.chunk_column] if with_chunk else []), *(column.name for column in staging.columns)]
    return {
        "staging": lockstep.identifier(staging.schema, staging.name),
        "chunk": lockstep.identifier(staging.chunk_column),
        "columns": ", ".join(map(lockstep.identifier, columns)),
    }
