"""Gives PersistentVolumeClaims of the class `standard` folders of the node, and removes them with the claims."""

import shutil
from collections.abc import Mapping
from typing import Any

import httpx2

from pyairtable_devkit.cluster.node.configuration import NODE_NAME, NodeLayout
from pyairtable_devkit.cluster.node.mirror import Mirror

STORAGE_CLASS = "standard"
PROVISIONER = "pyairtable.dev/node-folders"
_CLAIMS, _VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"
PATHS = (_CLAIMS, _VOLUMES)
_CONFLICT, _NOT_FOUND = 409, 404

Object = Mapping[str, Any]


class Provisioner:
    """Makes volumes for claims that have none, and removes those whose claim is gone."""

    def __init__(self, mirror: Mirror, api: httpx2.Client, layout: NodeLayout) -> None:
        self._mirror, self._api, self._layout = mirror, api, layout

    def act(self) -> None:
        """Do what is to be done; raises httpx2 errors, after which it is to be called again."""
        volumes = self._mirror.of(_VOLUMES)
        for claim in self._mirror.of(_CLAIMS).values():
            if _wants_volume(claim) and ("", _name(claim)) not in volumes:
                self._make(claim)
        for volume in volumes.values():
            if volume["spec"].get("storageClassName") == STORAGE_CLASS and volume["status"].get("phase") == "Released":
                self._remove(volume["metadata"]["name"])

    def _make(self, claim: Object) -> None:
        name = _name(claim)
        folder = self._layout.volumes / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # whoever the pod runs as; fsGroup makes it a group's, if one is asked for
        answer = self._api.post(_VOLUMES, json=volume_for(claim, str(folder)))
        if answer.status_code != _CONFLICT:
            answer.raise_for_status()

    def _remove(self, name: str) -> None:
        shutil.rmtree(self._layout.volumes / name, ignore_errors=True)
        answer = self._api.delete(f"{_VOLUMES}/{name}")
        if answer.status_code != _NOT_FOUND:
            answer.raise_for_status()


def volume_for(claim: Object, folder: str) -> dict[str, Any]:
    """Return the PersistentVolume for a claim, bound to it from the start."""
    metadata, spec = claim["metadata"], claim["spec"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    bound = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": _name(claim), "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Delete",
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **bound},
            "local": {"path": folder},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def _wants_volume(claim: Object) -> bool:
    spec = claim["spec"]
    waits = claim["status"].get("phase") == "Pending" and not spec.get("volumeName")
    return waits and spec.get("storageClassName") == STORAGE_CLASS and "deletionTimestamp" not in claim["metadata"]


def _name(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"
