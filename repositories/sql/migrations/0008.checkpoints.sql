-- Points from which another slice goes on. Null in the rows of stages that have none; old versions of the app ignore them.
ALTER TABLE stages
-- A dispatch: the tasks and batches before the point, the cursor of the last of these tasks, and how many slices in a row
-- were over before they queued anything.
ADD COLUMN checkpoint_tasks integer,
ADD COLUMN checkpoint_batches integer,
ADD COLUMN checkpoint_cursor jsonb,
ADD COLUMN idle_slices integer,
-- An aggregation: the number of tasks whose results are folded into the state.
ADD COLUMN folded_tasks integer,
ADD COLUMN folded_state jsonb;
