-- The table ingested_rows. A chunk is replaced as a whole, so loading it again does not duplicate rows.

-- name: clear_chunk
DELETE FROM ingested_rows WHERE job_id = %(job_id)s AND chunk_index = %(chunk_index)s

-- name: clear_from
DELETE FROM ingested_rows WHERE job_id = %(job_id)s AND chunk_index >= %(chunk_index)s

-- name: copy_rows
COPY ingested_rows (job_id, chunk_index, row_number, data) FROM STDIN

-- name: count
SELECT count(*) AS rows FROM ingested_rows WHERE job_id = %(job_id)s
