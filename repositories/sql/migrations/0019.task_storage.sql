-- Room for the versions of a row on its page: a task is changed two or three times by the time it has ended, and none of these
-- changes touches an index once 0020 has dropped those on statuses and times (docs/decisions/0029). Holds for new pages.
ALTER TABLE tasks SET (fillfactor = 40);
