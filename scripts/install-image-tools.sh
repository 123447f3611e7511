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
exec "$(dirname "$0")/apt-install.sh" "What builds or starts the images" \
    "Install it, or a container engine (docker, podman)" "${missing[@]}"
