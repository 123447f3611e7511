#!/usr/bin/env bash
# Installs Debian's Chromium, which the browser test drives, unless a Chromium is there.
set -euo pipefail

for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [[ -n $browser ]] && command -v "$browser" >/dev/null; then
        exit 0
    fi
done

fail() {
    echo "The browser test needs Chromium: $1. Install it, name it with CHROMIUM=/path/to/chromium," \
        "or leave that test out: make test ARGS=\"-m 'not browser'\"" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "none was found and there is no apt-get to install it"
as_root=()
if [[ $EUID -ne 0 ]]; then
    sudo -n true 2>/dev/null || fail "none was found and installing it needs root"
    as_root=(sudo)
fi
echo "Installing Chromium for the browser test (apt-get install chromium)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
} >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    fail "apt-get could not install it (see above)"
}
