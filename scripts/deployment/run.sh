#!/usr/bin/env bash
# run.sh: brings up a model where none is there, starts the server, gives an agent a first task on a real file, shows the
# answer as it is written, prints the console's address and keeps serving until Ctrl-C. `make run` builds first.
#
#   SUTAZAI_FIRST_TASK   another first task
#   SUTAZAI_RUN_ONCE=1   stop after the first task; the exit code is the task's
#
# Settings come from where they always do: sutazai.yaml, SUTAZAI_* variables. See docs/configuration.md.
set -euo pipefail

cd "$(dirname "$0")/../.."
sutazai=$PWD/bin/sutazai
[ -x "$sutazai" ] || { echo "bin/sutazai is missing; run make build first" >&2; exit 1; }
file=docs/examples/invoice.txt
task=${SUTAZAI_FIRST_TASK-"What is the total in invoice.txt?"}
once=${SUTAZAI_RUN_ONCE-}
unset SUTAZAI_FIRST_TASK SUTAZAI_RUN_ONCE # no settings: the program would refuse them
"$sutazai" config show >/dev/null
began=$SECONDS
server=''
dir=''

say() { printf '\n── %s\n' "$1"; }

# setting KEY prints a setting's value; setting KEY origin prints where it came from.
setting() {
    "$sutazai" config show --json | node -e '
        const [key, part] = process.argv.slice(1);
        const all = JSON.parse(require("fs").readFileSync(0, "utf8"));
        console.log(String(all.find(s => s.key === key)?.[part] ?? ""));' "$1" "${2-value}"
}

# answers HOST PORT, or answers SOCKET: whether something listens there.
answers() {
    node -e '
        const [a, b] = process.argv.slice(1);
        const c = require("net").connect(b ? {host: a, port: Number(b)} : {path: a});
        c.setTimeout(2000, () => process.exit(1));
        c.on("connect", () => process.exit(0)).on("error", () => process.exit(1));' "$@"
}

# shellcheck disable=SC2317 # called by the traps
stop() {
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill -TERM "$server" 2>/dev/null || true # once: a second signal would end it at once
        wait "$server" 2>/dev/null || true
    fi
    [ -z "$dir" ] || rm -rf "$dir"
}

data_dir=$(setting server.data_dir)
route=$(setting models.routes.default)
socket=$data_dir/sutazai.sock

if [ "$(setting models.local.runtime)" != off ] && [[ $route == *'"local/'* ]]; then
    say "Model"
    scripts/maintenance/need.sh "python3 -c 'import venv, ensurepip'" python3-venv || true # Ollama and llama-server need none
    scripts/deployment/local-model.sh --data-dir "$data_dir"
fi

give_task() {
    say "First task for the agent \"assistant\""
    printf '   %s (%s)\n\n' "$task" "$file"
    "$sutazai" run assistant "$task" --file "$file" --wait
}

if [ -S "$socket" ] && answers "$socket"; then
    say "Server"
    echo "A server runs on $data_dir already; the task goes to it."
    give_task
    exit
fi

say "Server"
options=()
listen=$(setting server.listen)
if [ "$(setting server.listen origin)" = default ] && answers "${listen%:*}" "${listen##*:}"; then
    echo "$listen is taken by another program; taking a free port"
    options=(--set server.listen=127.0.0.1:0)
fi
(umask 077 && mkdir -p "$data_dir/logs")
log=$data_dir/logs/server.log
dir=$(mktemp -d -t sutazai-run.XXXXXX)
mkfifo "$dir/out"
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
set -m # a process group of its own: Ctrl-C reaches the server through stop alone
"$sutazai" serve ${options[@]+"${options[@]}"} >"$dir/out" 2>>"$log" </dev/null &
server=$!
set +m
exec 3<"$dir/out"
url=''
while IFS= read -r line <&3; do
    echo "$line"
    case $line in
    *console:*) url=${line##* } ;;
    *data:*) break ;;
    esac
done
if [ -z "$url" ]; then
    code=0
    wait "$server" || code=$?
    server=''
    tail -n 20 "$log" >&2
    exit "$code"
fi
echo "  log:      $log"

code=0
give_task || code=$?
say "Ready after $((SECONDS - began)) s"
[ "$code" = 0 ] || echo "The first task did not finish (exit code $code); sutazai runs list shows it."
if [ "$once" = 1 ]; then
    exit "$code"
fi
echo "Console: $url      Ask:  bin/sutazai run assistant \"…\"      Stop: Ctrl-C"
trap 'exit 0' INT
cat <&3 &
wait "$server" || code=$?
server=''
exit "$code"
