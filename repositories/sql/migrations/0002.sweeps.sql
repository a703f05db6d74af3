ALTER TABLE stages
-- When a dispatcher last released the stage, or the sweeper last sent a message for it.
ADD COLUMN attended_at timestamptz,
-- Set while the sweeper resends the waiting tasks of a silent stage: those whose batch was sent before this time.
ADD COLUMN silent_since timestamptz;
