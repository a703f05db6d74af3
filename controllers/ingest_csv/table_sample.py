"""Finds the types of the columns from the rows at the beginning of a file."""

from collections.abc import Mapping
from typing import Any

from controllers.ingest_csv.column_types import ColumnType, sampled_types
from controllers.ingest_csv.record_grammar import RecordGrammar
from controllers.ingest_csv.rows import RejectedRows, read_records

TYPE_SAMPLE_BYTES = 256 * 1024
"""Some thousand rows of a common file: a type that fits all of them by chance is rare, and they are read in 0.1 s."""


def sample_types(head: bytes, layout: Mapping[str, Any], delimiter: str) -> list[ColumnType]:
    """Returns a type for each column.

    Args:
        head: the beginning of the file, with the first record after the header, or all of a shorter file.
        layout: of the file, as JSON.
        delimiter: of the columns.
    """
    grammar = RecordGrammar(delimiter)
    start, limit = layout["offset"], layout["offset"] + TYPE_SAMPLE_BYTES
    end = len(head)
    if end > limit:  # the last record of the sample may be cut, but one row is always read
        end = grammar.end_of_all(head, start, limit)
        end = end if end > start else grammar.end_of_one(head, start) or start
    records = read_records(head[start:end], delimiter, layout["first_line"], RejectedRows())
    return sampled_types((fields for _, fields in records), layout["column_count"])
