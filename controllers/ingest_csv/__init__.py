from controllers.ingest_csv.job import IngestCsv, IngestCsvParameters

__all__ = ["IngestCsv", "IngestCsvParameters"]
