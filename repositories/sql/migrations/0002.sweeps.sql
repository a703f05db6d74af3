ALTER TABLE stages
-- When a dispatcher let go of the stage, or the sweeper sent a message for it, last.
ADD COLUMN attended_at timestamptz,
-- Set while the sweeper sends the waiting tasks of a silent stage again: those that were sent before.
ADD COLUMN silent_since timestamptz;
