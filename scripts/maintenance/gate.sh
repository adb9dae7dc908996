#!/usr/bin/env bash
# gate.sh GATE [go test flag…]: runs tests/GATE (build tag GATE) and shows its RESULT lines as they come. GATE may be a
# folder below a gate, such as bench/gateway, which has the tag of that gate, or a module of its own (sdk). The whole output
# is kept in .make/GATE.log (bench-gateway.log); when the gate fails, what failed is shown too. Exits non-zero when it fails.
set -euo pipefail

cd "$(dirname "$0")/../.."
gate=$1
shift
if ! compgen -G "tests/$gate/*_test.go" >/dev/null; then
    echo "gate $gate: tests/$gate holds no cases" >&2
    exit 1
fi
mkdir -p .make
log=$PWD/.make/${gate//\//-}.log
began=$SECONDS
code=0
go -C "tests/$gate" test -count=1 -v -timeout "${GATE_TIMEOUT:-60m}" -tags "${gate%%/*}" "$@" . 2>&1 |
    tee "$log" | { grep --line-buffered -oE '(RESULT .*|^ +[a-z_]+_test\.go:[0-9]+: progress .*)$' || true; } || code=$?
if [ "$code" != 0 ]; then
    echo "gate $gate failed; from $log:"
    { grep -vE '^(=== |--- PASS|RESULT |PASS)' "$log" || true; } | tail -n 80
    exit "$code"
fi
tail -n 1 "$log"
echo "gate $gate passed in $((SECONDS - began)) s"
