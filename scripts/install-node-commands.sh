#!/usr/bin/env bash
# Installs Debian's packages of what a node on this machine needs beside the programs that are built from Go modules
# (pyairtable-devkit cluster up --node): runc, the packet filter's command and the tools of namespaces and interfaces.
set -euo pipefail

declare -A packages=([runc]=runc [nft]=nftables [ip]=iproute2 [unshare]=util-linux [nsenter]=util-linux [mount]=mount)
PATH="$PATH:/usr/sbin:/sbin"
missing=()
for name in "${!packages[@]}"; do
    command -v "$name" >/dev/null || missing+=("${packages[$name]}")
done
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi

fail() {
    echo "A node needs ${missing[*]}: $1. Install them, or use kind with a container engine" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "they were not found and there is no apt-get to install them"
as_root=()
if [[ $EUID -ne 0 ]]; then
    sudo -n true 2>/dev/null || fail "they were not found and installing them needs root"
    as_root=(sudo)
fi
echo "Installing ${missing[*]} for the node (apt-get install)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
} >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    fail "apt-get could not install them (see above)"
}
