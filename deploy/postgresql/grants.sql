-- What the server's role may do, said by the owner of the tables; `roles.sql` and `restore.sh` run it.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO todolist_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO todolist_server;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO todolist_server;
-- The same for what later migrations make.
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO todolist_server;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO todolist_server;
