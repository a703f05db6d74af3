-- What people read of tasks, beside the pages of tasks.sql.

-- name: checkpoint
SELECT checkpoint FROM tasks WHERE task_id = %(task_id)s
