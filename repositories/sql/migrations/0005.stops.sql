-- How often the stage was reopened, and whether its failed tasks run again too, or only the cancelled ones.
ALTER TABLE stages
ADD COLUMN openings integer NOT NULL DEFAULT 0 CHECK (openings >= 0),
ADD COLUMN reopens_failed boolean NOT NULL DEFAULT false;

-- The opening of the stage in which the batch was written or last reopened.
ALTER TABLE batches ADD COLUMN opening integer NOT NULL DEFAULT 0 CHECK (opening >= 0);

-- Finds the batches of a stopped stage that have not ended.
CREATE INDEX batches_live ON batches (job_id, stage) WHERE status IN ('pending_queue', 'queued');
