#!/usr/bin/env bash
# need.sh COMMAND PACKAGE: makes sure that COMMAND is there; as root on a system with apt-get it installs PACKAGE.
set -euo pipefail

command=$1 package=$2
if command -v "$command" >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "$command is missing; install the package $package and try again" >&2
    exit 1
fi
echo "installing $package" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$package"; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "$package could not be installed" >&2
    exit 1
fi
command -v "$command" >/dev/null || { echo "$package is installed, but it brought no $command" >&2; exit 1; }
