#!/usr/bin/env bash
# Makes .venv: Python, the locked dependencies (hashes checked), the four distributions as editable installs.
# Does nothing when none of its inputs has changed. PYTHON=/path/to/python3.x chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

inputs=(requirements.txt pyproject.toml protos/pyproject.toml services/pyproject.toml operator/pyproject.toml
        devkit/pyproject.toml scripts/setup.sh)
stamp=.venv/.setup-stamp
started=$SECONDS

say() { printf '%s\n' "$*" >&2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer is needed; found $(${PYTHON:-python3} --version 2>&1 || echo none)." \
        "Install one, or name it: make setup PYTHON=/path/to/python3.11"
    exit 1
}

fingerprint() { pwd && cat "${inputs[@]}" | cksum; } # pwd: an environment does not survive being moved

if [[ -f $stamp && $(<"$stamp") == "$(fingerprint)" ]] && new_enough .venv/bin/python; then
    exit 0
fi

if ! new_enough .venv/bin/python; then
    python=$(find_python)
    say "Setting up .venv with $("$python" --version)"
    "$python" -m venv --clear .venv || {
        say "Could not make .venv; on Debian and Ubuntu the package python3-venv is needed for it."
        exit 1
    }
fi
rm -f "$stamp"

# uv, the installer, comes from the same lock as everything else.
uv_lock=$(awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements.txt)
say "Installing ${uv_lock%% *}"
printf '%s\n' "$uv_lock" | .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r /dev/stdin

# uv does not read pip's configuration: hand on a mirror that is set there.
mirror=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
if [[ -n $mirror && -z ${UV_DEFAULT_INDEX:-} && -z ${UV_INDEX_URL:-} ]]; then
    export UV_DEFAULT_INDEX=$mirror
fi

say "Installing the $(grep -c '^[^ #]' requirements.txt) locked packages"
export VIRTUAL_ENV=$PWD/.venv
# Compiled here once: else the ten processes of a first start compile the same modules at the same time.
UV_COMPILE_BYTECODE_TIMEOUT=600 .venv/bin/uv pip sync --require-hashes --compile-bytecode requirements.txt
say "Installing the four distributions of this repository"
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation -e protos -e services -e operator -e devkit

fingerprint >"$stamp"
say "Ready after $((SECONDS - started)) s"
