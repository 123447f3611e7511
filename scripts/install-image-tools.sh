#!/usr/bin/env bash
# Installs what builds the images where no container engine answers: Debian's buildah, and mmdebstrap, which makes the base
# image where no registry answers either. `install-image-tools.sh runc` installs what the images' tests start them with.
set -euo pipefail

wanted=("$@")
if [[ ${#wanted[@]} -eq 0 ]]; then
    for engine in docker podman buildah; do
        if command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1; then
            exit 0
        fi
    done
    wanted=(buildah mmdebstrap)
fi

missing=()
for program in "${wanted[@]}"; do
    command -v "$program" >/dev/null || missing+=("$program")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

fail() {
    echo "The images need ${missing[*]}: $1. Install them, or a container engine (docker, podman)" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "not found, and there is no apt-get to install them"
as_root=()
if [[ $EUID -ne 0 ]]; then
    sudo -n true 2>/dev/null || fail "not found, and installing them needs root"
    as_root=(sudo)
fi
echo "Installing ${missing[*]} for the images (apt-get install)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
} >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    fail "apt-get could not install them (see above)"
}
