-- Jobs whose short tasks overtake those of other jobs. Old versions of the app ignore the column: their jobs are not urgent.
ALTER TABLE jobs
ADD COLUMN urgent boolean NOT NULL DEFAULT false;
