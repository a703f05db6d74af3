"""The parameters of a job; their descriptions are the text of the OpenAPI document."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from controllers import authoring as lockstep
from controllers.ingest_csv.column_types import ColumnType
from controllers.ingest_csv.table_load import TableMode
from controllers.ingest_csv.table_name import TableName

MAX_CHUNK_BYTES = 16 * 1024 * 1024
"""A task holds the bytes of its range, and one row at a time: COPY reads the rows while they are parsed. So its memory
is the range (its chunk and at most one record more) and `RECORD_WORKING_BYTES`, whatever the shape of its rows."""

_DELIMITER = r"^[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x7f]$"


def _check_delimiter(delimiter: str) -> str:
    # Field(pattern=...) would refuse it with the regular expression as the reason.
    if len(delimiter) != 1 or not re.match(_DELIMITER, delimiter):
        raise ValueError("a delimiter is one ASCII character, no quote and no line break")
    return delimiter


def _check_table(table: str) -> str:
    TableName.parse(table)
    return table


class IngestCsvParameters(lockstep.JobParameters):
    """Which file to load, and how to read and cut it."""

    source: lockstep.SourceName = Field(
        min_length=1,
        max_length=2_000,
        description="a path relative to DATA_DIR, blob://CONTAINER/NAME, the https URL of a blob in a storage account "
        "of the app, or an https URL of an allowed host; a signature, key or token in its query is refused",
    )
    chunk_bytes: int = Field(
        default=64 * 1024,
        ge=512,
        le=MAX_CHUNK_BYTES,
        description="the least size of the byte range that one task loads",
    )
    delimiter: Annotated[str, AfterValidator(_check_delimiter)] = Field(
        default=",",
        description="one ASCII character, no quote and no line break",
        json_schema_extra={"pattern": _DELIMITER},
    )
    has_header: bool = Field(default=True, description="whether the first record names the columns")
    max_rejected_fraction: float = Field(
        default=0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="the largest share of rejected rows; the job fails when more of its rows are rejected",
    )
    # Left out of the row where they are not given: a host with an older version, which does not know them, reads it,
    # and the same submission keeps the same job id.
    table: Annotated[str, Field(max_length=300), AfterValidator(_check_table)] | None = Field(
        default=None,
        exclude_if=lambda table: table is None,
        description="the table to load into, 'name' or 'schema.name', taken as written: upper case stays upper case. "
        "A part with a dot or a quote is quoted as in SQL. The table gets the columns of the file, and changes only "
        "when the whole file is loaded. Without it, every row becomes a JSON object of texts in the table "
        "ingested_rows: for a look at a file whose columns and types are not known yet",
    )
    mode: TableMode = Field(
        default=TableMode.CREATE,
        exclude_if=lambda mode: mode == TableMode.CREATE,
        description="create: the table must not exist; append: it must exist, and its columns decide the types; "
        "replace: a table that exists is dropped, with its indexes and grants, and made anew. Needs table",
    )
    column_types: dict[str, ColumnType] = Field(
        default_factory=dict,
        exclude_if=lambda types: not types,
        description="types by column, for the modes create and replace. Any other column has the narrowest type that "
        "fits the values at the beginning of the file. A number with a leading zero fits text alone; an empty cell is "
        "NULL. A row with a value that does not fit is rejected, and listed with its line and column. Needs table",
    )

    @model_validator(mode="after")
    def _check_table_options(self) -> "IngestCsvParameters":
        if self.table is None and (self.mode != TableMode.CREATE or self.column_types):
            raise ValueError("mode and column_types need the parameter table")
        if self.mode == TableMode.APPEND and self.column_types:
            raise ValueError("the mode append takes the types of the table, so it needs no column_types")
        return self
