-- Events by time, as the owner of the tables, once: what is there becomes the first partition, and a week
-- that is over is dropped at once instead of row by row (docs/operations.md, Growing). Nothing but a look
-- at what is there, and an index of it, takes time; until then nobody writes.
BEGIN;
SET LOCAL lock_timeout = '5s';
SELECT set_config('todolist.acting_as', E'\x01everyone', true);

ALTER TABLE tasks_event RENAME TO tasks_event_before;
ALTER TABLE tasks_event_before DROP CONSTRAINT tasks_event_pkey, DROP CONSTRAINT event_seq;
ALTER INDEX event_at RENAME TO event_at_before;
ALTER TABLE tasks_event_before ALTER id DROP IDENTITY;

CREATE TABLE tasks_event (LIKE tasks_event_before) PARTITION BY RANGE (at);
CREATE SEQUENCE tasks_event_number OWNED BY tasks_event.id;
SELECT setval('tasks_event_number', coalesce(max(id), 1)) FROM tasks_event_before;
ALTER TABLE tasks_event ALTER id SET DEFAULT nextval('tasks_event_number');
-- A partitioned table has no unique constraint without the column it is partitioned by; that a number is
-- given once is kept by the row of the owner's stream, which whoever takes one locks.
ALTER TABLE tasks_event ADD CONSTRAINT event_seq UNIQUE (user_id, seq, at);
CREATE INDEX event_at ON tasks_event (at);
ALTER TABLE tasks_event ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DO $$ BEGIN
    EXECUTE (
        SELECT format('CREATE POLICY owner ON tasks_event USING (%1$s) WITH CHECK (%1$s)',
                      pg_get_expr(polqual, polrelid))
        FROM pg_policy WHERE polrelid = 'tasks_event_before'::regclass
    );
END $$;
ALTER TABLE tasks_event ATTACH PARTITION tasks_event_before
    FOR VALUES FROM (MINVALUE) TO (current_date + 1);

-- The next five weeks; later ones are made likewise. Whoever asks one by its own name sees nothing.
DO $$ BEGIN
    FOR week IN 0..4 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF tasks_event FOR VALUES FROM (%L) TO (%L)',
            'tasks_event_' || to_char(current_date + 1 + 7 * week, 'YYYY_MM_DD'),
            current_date + 1 + 7 * week, current_date + 8 + 7 * week);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
            'tasks_event_' || to_char(current_date + 1 + 7 * week, 'YYYY_MM_DD'));
    END LOOP;
END $$;
-- Whatever no partition was made for, rather than that nothing can be written.
CREATE TABLE tasks_event_later PARTITION OF tasks_event DEFAULT;
ALTER TABLE tasks_event_later ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
COMMIT;
