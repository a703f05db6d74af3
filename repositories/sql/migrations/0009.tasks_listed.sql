-- transactional: false
-- Finds the tasks of a job in one status, in id order: task ids begin with the job id. Built without a lock that stops
-- writes. An index that a stopped process left unfinished is not valid, so it is built anew.

DROP INDEX CONCURRENTLY IF EXISTS tasks_listed;

CREATE INDEX CONCURRENTLY tasks_listed ON tasks (status, task_id);
