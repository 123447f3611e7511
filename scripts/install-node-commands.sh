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

exec "$(dirname "$0")/apt-install.sh" "A node" "Install it, or use kind with a container engine" "${missing[@]}"
