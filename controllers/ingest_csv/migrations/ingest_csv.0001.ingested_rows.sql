-- One JSON object per CSV row. Databases that were migrated before this file existed have the table already.
CREATE TABLE IF NOT EXISTS ingested_rows (
    job_id text COLLATE "C" NOT NULL,
    chunk_index integer NOT NULL,
    row_number integer NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (job_id, chunk_index, row_number)
);
