-- What the rows went through, noted apart from them. Statement triggers: a row trigger would cost more than the update.
CREATE TABLE audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY,
    machine text NOT NULL,
    id text NOT NULL,
    old text,
    new text NOT NULL
);

CREATE FUNCTION note_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO audit (machine, id, new) SELECT 'task', task_id, status FROM new_rows;
    ELSE
        INSERT INTO audit (machine, id, old, new)
        SELECT 'task', n.task_id, o.status, n.status FROM new_rows AS n JOIN old_rows AS o USING (task_id)
        WHERE (o.status, o.lease_id) IS DISTINCT FROM (n.status, n.lease_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION note_batches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO audit (machine, id, new) SELECT 'batch', batch_id, status FROM new_rows;
    ELSE
        INSERT INTO audit (machine, id, old, new)
        SELECT 'batch', n.batch_id, o.status, n.status FROM new_rows AS n JOIN old_rows AS o USING (batch_id)
        WHERE o.status <> n.status;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION note_stages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO audit (machine, id, new) SELECT 'stage', job_id || ' ' || stage, status FROM new_rows;
    ELSE
        INSERT INTO audit (machine, id, old, new)
        SELECT 'stage', n.job_id || ' ' || n.stage, o.status, n.status FROM new_rows AS n JOIN old_rows AS o USING (job_id, stage)
        WHERE o.status <> n.status;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION note_dead_letters() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO audit (machine, id, new) SELECT 'dead letter', dead_letter_id::text, state FROM new_rows;
    ELSE
        INSERT INTO audit (machine, id, old, new)
        SELECT 'dead letter', n.dead_letter_id::text, o.state, n.state
        FROM new_rows AS n JOIN old_rows AS o USING (dead_letter_id);
    END IF;
    RETURN NULL;
END $$;

-- A job has two machines: its status, and the number of the stage that it stands at.
CREATE FUNCTION note_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO audit (machine, id, new) SELECT 'job', job_id, status FROM new_rows;
    ELSE
        INSERT INTO audit (machine, id, old, new)
        SELECT 'job', n.job_id, o.status::text, n.status::text FROM new_rows AS n JOIN old_rows AS o USING (job_id)
        WHERE o.status <> n.status
        UNION ALL
        SELECT 'advance', n.job_id, o.stage::text, n.stage::text FROM new_rows AS n JOIN old_rows AS o USING (job_id)
        WHERE o.stage <> n.stage;
    END IF;
    RETURN NULL;
END $$;

-- A deleted job leaves nothing, so nothing is told of it but that it is gone.
CREATE TABLE deleted_jobs (job_id text NOT NULL);

CREATE FUNCTION note_deletions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM audit USING old_rows WHERE id ^@ job_id;
    INSERT INTO deleted_jobs (job_id) SELECT job_id FROM old_rows;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_delete AFTER DELETE ON jobs REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_deletions();

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tasks', 'batches', 'stages', 'jobs', 'dead_letters'] LOOP
        EXECUTE format(
            'CREATE TRIGGER audit_insert AFTER INSERT ON %1$I REFERENCING NEW TABLE AS new_rows '
            'FOR EACH STATEMENT EXECUTE FUNCTION note_%1$s()', name
        );
        EXECUTE format(
            'CREATE TRIGGER audit_update AFTER UPDATE ON %1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows '
            'FOR EACH STATEMENT EXECUTE FUNCTION note_%1$s()', name
        );
    END LOOP;
END $$;
