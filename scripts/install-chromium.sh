#!/usr/bin/env bash
# Installs Debian's Chromium, which the browser test drives, unless a Chromium is there.
set -euo pipefail

for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [[ -n $browser ]] && command -v "$browser" >/dev/null; then
        exit 0
    fi
done

exec "$(dirname "$0")/apt-install.sh" "The browser test" \
    "Install it, name it with CHROMIUM=/path/to/chromium, or leave that test out: make test ARGS=\"-m 'not browser'\"" \
    chromium
