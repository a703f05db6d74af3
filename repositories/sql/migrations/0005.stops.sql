-- How often a stage was opened again after its end, and whether its failed tasks run again, or the cancelled ones alone.
ALTER TABLE stages
ADD COLUMN openings integer NOT NULL DEFAULT 0 CHECK (openings >= 0),
ADD COLUMN reopens_failed boolean NOT NULL DEFAULT false;

-- The opening of its stage in which a batch was written or put back last.
ALTER TABLE batches ADD COLUMN opening integer NOT NULL DEFAULT 0 CHECK (opening >= 0);

-- Finds what a stopped stage has left behind.
CREATE INDEX batches_live ON batches (job_id, stage) WHERE status IN ('pending_queue', 'queued');
