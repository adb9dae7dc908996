#!/usr/bin/env bash
# test-postgres.sh [--fast] COMMAND…: runs COMMAND with SUTAZAI_TEST_POSTGRES set to a throw-away PostgreSQL.
#
# It makes a cluster in a temporary folder, on a free port of loopback and with a random password, and removes it when
# COMMAND ends, whatever way it ends. PostgreSQL comes from the system; as root on Debian it is installed where it is
# missing. Without it COMMAND runs on SQLite only, and that is said; where CI=true that is an error.
# --fast turns fsync off: for tests whose subject is not PostgreSQL's own durability.
set -euo pipefail

fast=()
if [ "${1-}" = --fast ]; then
    fast=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off)
    shift
fi
[ $# -gt 0 ] || { echo "usage: test-postgres.sh [--fast] COMMAND…" >&2; exit 2; }
[ -z "${SUTAZAI_TEST_POSTGRES-}" ] || exec "$@"

bin='' dir='' child=''

find_bin() {
    local candidate
    for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/pgsql/bin; do
        if [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ]; then
            bin=$candidate
            return 0
        fi
    done
    candidate=$(command -v initdb) && bin=$(dirname "$candidate")
}

without_postgres() {
    if [ "${CI-}" = true ]; then
        echo "test-postgres: $1; CI needs both databases" >&2
        exit 1
    fi
    printf '\n  ┌──────────────────────────────────────────────────────────────\n  │ %s.\n  │ Everything runs on SQLite ONLY; PostgreSQL is not tested.\n  └──────────────────────────────────────────────────────────────\n\n' "$1" >&2
    exec "$@"
}

# as_owner runs a command as a user that PostgreSQL accepts: it refuses root.
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups -- "$@"
    else
        "$@"
    fi
}

# shellcheck disable=SC2317 # called by the trap
stop() {
    if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
        kill -TERM "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    if [ -n "$dir" ]; then
        if [ -f "$dir/data/postmaster.pid" ]; then
            as_owner "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || true
        fi
        rm -rf "$dir"
    fi
}

if ! find_bin; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        "$(dirname "$0")/need.sh" psql postgresql || without_postgres "PostgreSQL could not be installed" "$@"
        find_bin || without_postgres "the package postgresql brought no initdb" "$@"
    else
        without_postgres "PostgreSQL (initdb, pg_ctl) is not installed" "$@"
    fi
fi

owner=$(id -un)
if [ "$(id -u)" = 0 ]; then
    owner=postgres
    id "$owner" >/dev/null 2>&1 || owner=nobody
fi

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
dir=$(mktemp -d -t sutazai-postgres.XXXXXX)
chmod 0700 "$dir"
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" >"$dir/password"
[ "$(id -u)" != 0 ] || chown -R "$owner" "$dir"
cd "$dir" # the owner may not enter the folder that we came from
as_owner "$bin/initdb" -D "$dir/data" -U sutazai -E UTF8 --locale=C --auth=scram-sha-256 --pwfile="$dir/password" --no-sync \
    >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
rm -f "$dir/password"

started=''
for _ in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + RANDOM % 40000))
    if as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 30 \
        -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 ${fast[*]-}" start >>"$dir/control" 2>&1; then
        started=yes
        break
    fi
done
[ -n "$started" ] || { cat "$dir/control" "$dir/server.log" >&2; echo "test-postgres: PostgreSQL did not start" >&2; exit 1; }
cd "$OLDPWD"

export SUTAZAI_TEST_POSTGRES="postgres://sutazai:$password@127.0.0.1:$port/postgres?sslmode=disable"
echo "PostgreSQL $("$bin/postgres" -V | awk '{print $3}') on port $port" >&2
"$@" &
child=$!
code=0
wait "$child" || code=$?
child=''
exit "$code"
