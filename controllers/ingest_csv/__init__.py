from controllers.ingest_csv.job import IngestCsv
from controllers.ingest_csv.parameters import IngestCsvParameters

__all__ = ["IngestCsv", "IngestCsvParameters"]
