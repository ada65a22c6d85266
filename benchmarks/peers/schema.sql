-- The table of every peer: the same ten columns that todolist shows, with the index that the
-- documentation of each of these frameworks would lead to.
CREATE TABLE task (
    id uuid PRIMARY KEY,
    user_id varchar(255) NOT NULL,
    text varchar(500) NOT NULL,
    description varchar(2000) NOT NULL,
    completed boolean NOT NULL,
    completed_at timestamptz,
    deadline timestamptz,
    "order" integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX task_user_id ON task (user_id);
