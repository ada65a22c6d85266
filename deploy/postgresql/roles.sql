-- The two roles of a deployment and their database. As a superuser, once, and again to change passwords:
--
--   psql -v database=todolist -v owner_password=… -v server_password=… -f roles.sql
--
-- todolist_owner owns the tables: migrations, backup and restore sign in as it. todolist_server is what
-- servers, workers and commands sign in as: it reads and writes rows, and can change no table, no policy
-- and no role. Row-level security holds for both.
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['todolist_owner', 'todolist_server']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE todolist_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION
    PASSWORD :'owner_password';
ALTER ROLE todolist_server LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION
    PASSWORD :'server_password';

SELECT format('CREATE DATABASE %I OWNER todolist_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

-- TEMPORARY too: nobody else has any business there.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO todolist_server;

\connect :"database"
-- So that search may use an index in spite of row-level security (docs/operations.md, Search). It is true:
-- LIKE tells nothing of a row but whether it fits. No backup holds it.
SELECT 'ALTER FUNCTION pg_catalog.textlike(text, text) LEAKPROOF'
FROM pg_roles WHERE rolname = current_user AND rolsuper \gexec
ALTER SCHEMA public OWNER TO todolist_owner;
SET ROLE todolist_owner;
\ir grants.sql
