-- The table page_visits. A day is replaced as a whole, so counting it again does not double its visits.

-- name: clear_day
DELETE FROM page_visits WHERE day = %(day)s

-- name: copy_visits
COPY page_visits (day, page, visits) FROM STDIN

-- name: of_day
SELECT page, visits FROM page_visits WHERE day = %(day)s ORDER BY page
