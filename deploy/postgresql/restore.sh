#!/usr/bin/env bash
# Put a backup in place of everything that the database holds, or change nothing:
#
#   DATABASE_URL=postgresql://todolist_owner:…@host/todolist restore.sh FILE
#
# Stop servers and workers first. The rest of the configuration comes from the environment or .env, as for
# manage.py, which gives the numbers of events another epoch, so that clients fetch their lists again.
set -euo pipefail
file=$(realpath "${1:?the file of a backup}")
: "${DATABASE_URL:?the URL of the database, as its owner}"
cd "$(dirname "$0")/../.."

# COMMIT is sent only after all of the backup could be read; without it nothing has happened.
{
    echo 'SET client_min_messages = warning; BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public;'
    pg_restore --no-owner --no-privileges --file=- "$file"
    cat deploy/postgresql/grants.sql
    echo 'COMMIT;'
} | psql --quiet --no-psqlrc --output=/dev/null --set=ON_ERROR_STOP=1 "$DATABASE_URL"

python=${PYTHON:-.venv/bin/python}
"$python" manage.py migrate --no-input # a backup of an earlier version has earlier tables
"$python" manage.py new_epoch # clients fetch their lists again; statistics are renewed
