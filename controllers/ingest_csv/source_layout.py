"""Reads the layout of a source, on which everything else about its rows depends."""

from dataclasses import asdict

from controllers import authoring as lockstep
from controllers.ingest_csv.csv_layout import HEAD_BYTES, read_layout
from controllers.ingest_csv.parameters import IngestCsvParameters


def read_source_layout(
    source: lockstep.Source, given: IngestCsvParameters
) -> tuple[bytes, dict[str, lockstep.JsonValue]]:
    """Reads the beginning of the file; returns it, and what is derived from it and from the file's size.

    Raises:
        CsvError: the file is no CSV file.
        SourceError: the source cannot be used.
        SourceUnavailableError: the source cannot be read now.
    """
    head = source.read(0, HEAD_BYTES)
    layout = read_layout(head, given.delimiter, has_header=given.has_header)
    return head, {**asdict(layout), "source_bytes": source.size()}
