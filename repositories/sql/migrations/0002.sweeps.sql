-- When the sweeper last sent a message for a stage, so that it does not send another one every minute.
ALTER TABLE stages ADD COLUMN swept_at timestamptz;
