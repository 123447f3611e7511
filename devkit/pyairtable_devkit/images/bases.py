"""The base image: from the engine's store, from its registry, or bootstrapped from Debian packages under its name.

A bootstrapped base is for machines that reach Debian's packages and no registry. It says so in a label, has Debian's
Python of the same minor version, and neither pip nor apt; a second one beside it, with venv and pip, is for the
building stages.
"""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pyairtable_devkit.images.archive import write_base
from pyairtable_devkit.images.engines import Engine, ask
from pyairtable_devkit.images.plan import EPOCH, ImagesError

BOOTSTRAPPED_LABEL = "dev.pyairtable.base.bootstrapped"

_PULL_SECONDS = 900
_PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}  # Debian's release and its Python
_PACKAGES = ("python3", "ca-certificates", "netbase", "tzdata")
_BUILD_PACKAGES = (*_PACKAGES, "python3-venv")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Documentation, as Debian's own slim images leave it out; copyright stays, because licences ask for it.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/man/*", "/usr/share/locale/*")
_KEPT = ("/usr/share/doc/*/copyright",)
# The links in place of /bin, /lib and /sbin are made beforehand: the package usrmerge would, and brings all of Perl.
_MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"
_PIN = r'printf "Package: usrmerge\nPin: version *\nPin-Priority: -1\n" >"$1"/etc/apt/preferences.d/usrmerge'
# What differs from run to run, and bytecode: the Dockerfiles compile it in a form that needs no times of files.
_TIDY = (
    'rm -rf "$1"/var/cache/* "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/run/* "$1"/tmp/* "$1"/etc/machine-id '
    '"$1"/etc/hostname "$1"/etc/resolv.conf "$1"/var/lib/dpkg/*-old '
    '"$1"/etc/apt/preferences.d/usrmerge',
    'find "$1/usr" -name __pycache__ -prune -exec rm -rf {} +',
)


@dataclass(frozen=True)
class Bases:
    """The base images of a build."""

    base: str
    build_base: str
    identity: str
    """Of both: changes when either does."""
    bootstrapped: bool


def ensure(engine: Engine, base: str, environment: Mapping[str, str], *, renew: bool) -> Bases:
    """Return the base images, in the engine's store from now on; raises ImagesError when they cannot be had.

    With `renew` an image that is there is fetched or made anew.
    """
    stored = ask(engine.look_up(base, "id")) is not None
    if (renew or not stored) and ask(engine.pull(base), timeout=_PULL_SECONDS) is None:
        _bootstrap_both(engine, base, environment)
    return _describe(engine, base)


def build_base_of(base: str) -> str:
    """Return the name of the bootstrapped image for the building stages."""
    return f"{base.split('/', 1)[0]}/pyairtable/build-base:{base.rsplit(':', 1)[-1]}"


def suite_of(base: str) -> str:
    """Return the Debian release that a base image of the official Python names; raises ImagesError for others."""
    found = re.search(r"/python:(\d+\.\d+)(?:\.\d+)?-slim-(\w+)$", base)
    if found is None or _PYTHONS.get(found[2]) != found[1]:
        known = ", ".join(f"python:{python}-slim-{suite}" for suite, python in _PYTHONS.items())
        raise ImagesError(
            f"{base} is not in the engine's store, its registry does not answer, and only these can be made from "
            f"Debian packages: {known}"
        )
    return found[2]


def bootstrap_command(suite: str, output: Path, *, for_building: bool) -> list[str]:
    """Return the command that makes a root file system from Debian packages."""
    packages = _BUILD_PACKAGES if for_building else _PACKAGES
    return [
        *("mmdebstrap", "--quiet", "--variant=essential", "--skip=output/mknod", f"--include={','.join(packages)}"),
        *(f"--hook-dir={_MERGED}", f"--setup-hook={_PIN}"),
        "--dpkgopt=force-unsafe-io",  # what a power cut leaves half-made is thrown away
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f"--dpkgopt=path-include={pattern}" for pattern in _KEPT),
        *(f"--customize-hook={command}" for command in _TIDY),
        *(suite, str(output)),
    ]


def base_config(suite: str) -> dict[str, object]:
    """Return what a bootstrapped base says of itself."""
    machine = platform.machine()
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "1980-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
            "Cmd": ["python3"],
            "Labels": {BOOTSTRAPPED_LABEL: f"from packages of Debian {suite}, because no registry answered"},
        },
        "history": [{"created": "1980-01-01T00:00:00Z", "created_by": f"mmdebstrap {suite}"}],
    }


def _describe(engine: Engine, base: str) -> Bases:
    """Look at what is in the store."""
    label = ask(engine.look_up(base, BOOTSTRAPPED_LABEL)) or ""
    bootstrapped = "Debian" in label
    build_base = build_base_of(base) if bootstrapped else base
    ids = [ask(engine.look_up(name, "id")) for name in (base, build_base)]
    if None in ids:
        raise ImagesError(f"{engine.name} has {base} and not {build_base}: build with --renew-base")
    return Bases(base, build_base, " ".join(filter(None, ids)), bootstrapped)


def _bootstrap_both(engine: Engine, base: str, environment: Mapping[str, str]) -> None:
    suite = suite_of(base)
    if shutil.which("mmdebstrap", path=environment.get("PATH", "")) is None:
        raise ImagesError(
            f"{base} is not in the engine's store, its registry does not answer, and mmdebstrap, which would make it "
            "from Debian packages, is not there: scripts/install-image-tools.sh mmdebstrap installs it"
        )
    with ThreadPoolExecutor() as both:
        made = [
            both.submit(_bootstrap_one, engine, name, suite, environment, for_building=name != base)
            for name in (base, build_base_of(base))
        ]
    for one in made:
        one.result()


def _bootstrap_one(
    engine: Engine, name: str, suite: str, environment: Mapping[str, str], *, for_building: bool
) -> None:
    """Make a base image from packages and hand it to the engine."""
    with tempfile.TemporaryDirectory(prefix="pyairtable-base-") as folder:
        layer, archive = Path(folder) / "layer.tar", Path(folder) / "base.tar"
        _bootstrap(bootstrap_command(suite, layer, for_building=for_building), environment)
        write_base(layer, base_config(suite), name, archive)
        if ask(engine.load(archive), timeout=_PULL_SECONDS) is None:
            raise ImagesError(f"{engine.name} does not take the bootstrapped {name}: {' '.join(engine.load(archive))}")


def _bootstrap(command: list[str], environment: Mapping[str, str]) -> None:
    # The same packages give the same bytes: mmdebstrap sets all later times to this one.
    settings = {**environment, "SOURCE_DATE_EPOCH": str(EPOCH)}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = os.linesep.join(done.stderr.splitlines()[-15:])
        raise ImagesError(f"The base image could not be made from Debian packages; mmdebstrap says:\n{tail}")
