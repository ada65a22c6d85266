#!/bin/sh
# Restart the server's processes one after another, each when the one before is ready:
#
#   rolling-restart.sh 8001 8002
#
# RESTART: the command that restarts one of them and comes back when the old one has ended.
set -eu
for port in "$@"; do
    # shellcheck disable=SC2086 # several words
    ${RESTART:-systemctl restart todolist@}$port
    tries=0
    until curl --silent --fail --max-time 2 --output /dev/null "http://127.0.0.1:$port/health/ready"; do
        tries=$((tries + 1))
        if [ "$tries" -ge "${TRIES:-150}" ]; then
            # The others go on serving; whatever is wrong with this one would be wrong with them.
            echo "Port $port is not ready after the restart; the rest was not restarted." >&2
            exit 1
        fi
        sleep 0.2
    done
done
