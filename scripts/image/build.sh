#!/bin/sh
# The steps of the images' building stages, one word each; see services/Dockerfile.
#   tools                        what the other steps need, into /tools/venv
#   dependencies LOCK            the locked packages, hashes checked, into /opt/pyairtable
#   distributions IMAGE FOLDER.. distributions of this repository, with the image's list of parts, into /out
set -eu
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 PIP_CACHE_DIR=/var/cache/pip
# Of Debian, or of the building machine when it hands on its own (make images does).
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
export PYTHONHASHSEED=0 # else the order of constant sets in bytecode changes from build to build
target=/opt/pyairtable

install_into_target() {
    /tools/venv/bin/pip --python "$target/bin/python" install --quiet --no-compile --no-warn-script-location "$@"
}

# One process in a fixed order: which constants are shared in bytecode depends on what was compiled before.
# unchecked: the files of an image never change, so Python need not look whether they did.
compile() {
    python3 -m compileall -q --invalidation-mode unchecked-hash -s "$2" -p / "$1"
}

case $1 in
tools)
    python3 -m venv /tools/venv
    /tools/venv/bin/pip install --quiet --require-hashes --only-binary :all: -r /tools/requirements.txt
    ;;
dependencies)
    python3 -m venv --without-pip "$target"
    rm "$target"/bin/activate* "$target"/bin/Activate.ps1
    install_into_target --require-hashes --only-binary :all: -r "$2"
    compile "$target/lib" /
    ;;
distributions)
    image=$2
    shift 2
    /tools/venv/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /tmp/wheels "$@"
    install_into_target --no-deps --no-index --root /out /tmp/wheels/*.whl
    compile "/out$target/lib" /out
    cp -a "/out$target/." "$target/"
    /tools/venv/bin/pip --python "$target/bin/python" check
    mkdir -p /out/usr/share/sbom
    /tools/venv/bin/cyclonedx-py environment --output-reproducible --no-validate --spec-version 1.6 "$target/bin/python" |
        /tools/venv/bin/python /tools/sbom.py --image "$image" --version "$VERSION" --packages /tmp/dpkg-status \
            >"/out/usr/share/sbom/pyairtable-$image.cdx.json"
    ;;
*)
    echo "build.sh: unknown step $1" >&2
    exit 2
    ;;
esac
