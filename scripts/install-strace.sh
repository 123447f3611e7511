#!/usr/bin/env bash
# Installs Debian's strace, with which the kill harness of sagas ends a service before its Nth send, unless it is there.
set -euo pipefail

if command -v strace >/dev/null; then
    exit 0
fi

fail() {
    echo "The kill harness of sagas needs strace: $1. Install it, or leave those tests out:" \
        "make test ARGS=\"--ignore tests/integration/sagas/kill\"" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "it was not found and there is no apt-get to install it"
as_root=()
if [[ $EUID -ne 0 ]]; then
    sudo -n true 2>/dev/null || fail "it was not found and installing it needs root"
    as_root=(sudo)
fi
echo "Installing strace for the kill harness (apt-get install strace)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends strace
} >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    fail "apt-get could not install it (see above)"
}
