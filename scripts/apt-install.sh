#!/usr/bin/env bash
# Installs Debian packages that a chore of this repository needs, or says what to do instead:
#   apt-install.sh WHAT_NEEDS_THEM REMEDY PACKAGE...
set -euo pipefail
needing=$1 remedy=$2
shift 2

fail() {
    echo "$needing needs $*: $reason. $remedy" >&2
    exit 1
}

reason="not found, and there is no apt-get to install it"
command -v apt-get >/dev/null || fail "$@"
as_root=()
if [[ $EUID -ne 0 ]]; then
    reason="not found, and installing it needs root"
    sudo -n true 2>/dev/null || fail "$@"
    as_root=(sudo)
fi
echo "Installing $* for: $needing (apt-get install)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
} >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    reason="apt-get could not install it (see above)"
    fail "$@"
}
