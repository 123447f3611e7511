"""Starts what is in an image archive as a node would: runc, read-only root, no capability, the image's own account.

No engine and no store: what is started is what the archive holds.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyairtable_devkit.images.archive import Archive, opened_layers

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"  # OCI image specification: layer.md
_NO_CAPABILITIES: dict[str, list[str]] = {
    kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")
}


@dataclass(frozen=True)
class Unpacked:
    """An image on disk."""

    rootfs: Path
    config: Mapping[str, Any]

    @property
    def account(self) -> tuple[int, int]:
        user, group = self.config["User"].split(":")
        return int(user), int(group)


@dataclass(frozen=True)
class Finished:
    """What a container left."""

    code: int
    output: str


def unpack(archive: Archive, folder: Path) -> Unpacked:
    """Lay the layers of an archive over each other."""
    rootfs = folder / "rootfs"
    rootfs.mkdir(parents=True)
    with opened_layers(archive) as layers:
        for layer in layers:
            _apply(layer, rootfs)
    return Unpacked(rootfs, archive.config["config"])


class Container:
    """A running container; a context, at whose end it is gone."""

    def __init__(
        self, image: Unpacked, folder: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """`arguments` replace entry point and command, as a pod's `command` does; /data and /tmp can be written."""
        self._image = image
        self._bundle = folder / secrets.token_hex(4)
        self._bundle.mkdir(parents=True)
        self._data = self._bundle / "data"
        self._data.mkdir()
        os.chown(self._data, *image.account)
        config = self._configuration(arguments, environment or {})
        (self._bundle / "config.json").write_text(json.dumps(config))
        self._output = self._bundle / "output"
        self._name = f"pyairtable-{self._bundle.name}"
        with self._output.open("wb") as output:
            command = ["runc", "run", "--bundle", str(self._bundle), self._name]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait(self, seconds: float = 120) -> Finished:
        """Wait until it ends by itself."""
        return Finished(self._process.wait(seconds), self.output)

    def stop(self, seconds: float = 60) -> int:
        """Ask it to end as a node does; returns its exit code."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)  # runc hands it on
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            subprocess.run(["runc", "delete", "--force", self._name], check=False, capture_output=True)
            return self._process.wait(10)

    def _configuration(self, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
        """Of the OCI runtime: what the chart's security context makes of it, in the network of this machine."""
        user, group = self._image.account
        variables = [*self._image.config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        return {
            "ociVersion": "1.0.2",
            "root": {"path": str(self._image.rootfs), "readonly": True},
            "process": {
                "user": {"uid": user, "gid": group},
                "args": list(arguments),
                "env": variables,
                "cwd": "/",
                "capabilities": _NO_CAPABILITIES,
                "noNewPrivileges": True,
            },
            "mounts": [
                _mount("/proc", "proc"),
                _mount("/dev", "tmpfs", "nosuid", "mode=755", "size=65536k"),
                _mount("/tmp", "tmpfs", "nosuid", "nodev", "mode=1777"),  # noqa: S108 - in the container
                {"destination": "/data", "type": "bind", "source": str(self._data), "options": ["bind", "rw"]},
            ],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
        }


def _mount(path: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": path, "type": kind, "source": kind, "options": list(options)}


def _apply(layer: tarfile.TarFile, rootfs: Path) -> None:
    for entry in layer:
        place = rootfs / entry.name
        if place.name == _OPAQUE:
            shutil.rmtree(place.parent)
            place.parent.mkdir()
        elif place.name.startswith(_WHITEOUT):
            _remove(place.with_name(place.name.removeprefix(_WHITEOUT)))
        else:
            if not entry.isdir() or place.is_symlink():
                _remove(place)
            layer.extract(entry, rootfs, numeric_owner=True, filter="fully_trusted")


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
