-- depends: 0027.end_notices
-- When the handler of a task said how far it is. Null in the rows of tasks whose handlers have said nothing, or said it to an old version
-- of the app, which ignores this column.
ALTER TABLE tasks ADD COLUMN progress_at timestamptz;
