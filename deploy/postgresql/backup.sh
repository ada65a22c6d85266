#!/bin/sh
# Write a backup of the whole database into a folder, and print its name:
#
#   DATABASE_URL=postgresql://todolist_owner:…@host/todolist backup.sh FOLDER
#
# KEEP (14): as many backups are kept there. The file appears under its name when it is complete.
set -eu
umask 077
folder=${1:?the folder for backups}
: "${DATABASE_URL:?the URL of the database, as its owner}"

# Row-level security holds for the owner as well: it says that it acts for everyone, and pg_dump that
# policies may apply, as it would otherwise refuse.
everyone=$(printf '\001everyone')
export PGOPTIONS="${PGOPTIONS:-} -c todolist.acting_as=$everyone"

file=$folder/todolist-$(date -u +%Y%m%dT%H%M%SZ).dump
trap 'rm -f "$file.part"' EXIT
pg_dump --format=custom --enable-row-security --file="$file.part" "$DATABASE_URL"
pg_restore --list "$file.part" >/dev/null # it can be read
mv "$file.part" "$file"
echo "$file"

# Names are in the order of time.
find "$folder" -maxdepth 1 -name 'todolist-*.dump' | sort -r | tail -n "+$((${KEEP:-14} + 1))" |
    while read -r old; do rm -f "$old"; done
