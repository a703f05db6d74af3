-- Whether one message, an envelope, carries the tasks of a batch; NULL: each task has a message. A host of an earlier version
-- does not read the column, and sends a batch again as a message per task: the claim makes additional messages harmless.
ALTER TABLE batches ADD COLUMN enveloped boolean;
