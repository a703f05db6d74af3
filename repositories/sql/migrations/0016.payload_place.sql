-- Parameters and results leave a row of over 2 KB, also if PostgreSQL could compress them to fit: each change of a task copies
-- its row, and what has left it is not copied. A lower target would move the ids out too (docs/decisions/0022). Holds for new
-- rows; nothing is rewritten, and neither reads nor writes wait for it.
ALTER TABLE tasks SET (toast_tuple_target = 768);
