-- The part of a stage's failed tasks that runs again in an opening. A stage without a row, or with one of an earlier opening, was
-- retried in whole. A host of an earlier version does not read it: it reopens the cancelled tasks alone.
CREATE TABLE retry_parts (
    job_id text COLLATE "C" NOT NULL,
    stage smallint NOT NULL,
    opening integer NOT NULL CHECK (opening > 0),
    batch_ids text[] COLLATE "C",
    task_ids text[] COLLATE "C",
    error_group text COLLATE "C",
    -- The batches up to this one have been decided on.
    after_batch_id text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, stage),
    FOREIGN KEY (job_id, stage) REFERENCES stages ON DELETE CASCADE,
    CONSTRAINT retry_parts_is_one_part CHECK (
        num_nonnulls(batch_ids, error_group) = 1 AND (task_ids IS NULL OR batch_ids IS NOT NULL)
    )
);

-- How many failed tasks a retry of a part does not run again; null in the rows of other stages. They do not fail their stage before
-- its other tasks have ended.
ALTER TABLE stages ADD COLUMN kept_failed_tasks integer;
