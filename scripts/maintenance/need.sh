#!/usr/bin/env bash
# need.sh COMMAND PACKAGE: makes sure that COMMAND is there; as root on a system with apt-get it installs PACKAGE.
# A COMMAND of several words is run instead: it must succeed.
set -euo pipefail

command=$1 package=$2
is_there() {
    case $command in
    *' '*) bash -c "$command" >/dev/null 2>&1 ;;
    *) command -v "$command" >/dev/null ;;
    esac
}
if is_there; then
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
is_there || { echo "$package is installed, but $command still fails" >&2; exit 1; }
