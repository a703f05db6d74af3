-- The jobs that load into a table of the user. Until switched_at, the rows of a job are in the staging table
-- {schema_name}.ingest_csv_staging_{job_id}.
CREATE TABLE ingest_csv_tables (
    job_id text COLLATE "C" PRIMARY KEY,
    submitted_at timestamptz NOT NULL,
    schema_name text NOT NULL,
    switched_at timestamptz
);
