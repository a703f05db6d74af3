-- A dispatch that waits for room goes on when so many batches of the stage have ended. Null in the rows of other stages; old
-- versions of the app ignore it, and dispatch on.
ALTER TABLE stages ADD COLUMN room_after integer;
