"""Claims get folders, and lose them with themselves. The API server here is a list of requests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pyairtable_devkit.cluster.node import volumes
from pyairtable_devkit.cluster.node.configuration import NodeLayout
from pyairtable_devkit.cluster.node.mirror import Mirror
from pyairtable_devkit.cluster.node.volumes import Provisioner

Object = Mapping[str, Any]


class Api:
    """Has objects to list, and notes what else it is asked for."""

    def __init__(self, claims: list[Object], held: list[Object], status: int = 200) -> None:
        self.lists = {volumes.PATHS[0]: claims, volumes.PATHS[1]: held}
        self.asked: list[str] = []
        self.status = status
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._answer), base_url="http://api")

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and "watch" in request.url.params:
            return httpx2.Response(500)
        if request.method == "GET":
            items = self.lists[request.url.path]
            return httpx2.Response(200, json={"items": items, "metadata": {"resourceVersion": "1"}})
        self.asked.append(f"{request.method} {request.url.path}")
        return httpx2.Response(self.status, json={})


def _claim(**status: Any) -> Object:
    size = {"requests": {"storage": "1Gi"}}
    spec = {"storageClassName": "standard", "accessModes": ["ReadWriteOnce"], "resources": size}
    metadata = {"namespace": "shop", "name": "data", "uid": "u-1"}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending", **status}}


def _volume(phase: str, storage_class: str = "standard") -> Object:
    return {"metadata": {"name": "pvc-u-1"}, "spec": {"storageClassName": storage_class}, "status": {"phase": phase}}


def _act(api: Api, folder: Path) -> None:
    mirror = Mirror(api.client, volumes.PATHS)
    for path in volumes.PATHS:
        mirror.list(path)
    Provisioner(mirror, api.client, NodeLayout(folder)).act()


def test_a_claim_that_waits_gets_a_folder(tmp_path: Path) -> None:
    api = Api([_claim()], [])
    _act(api, tmp_path)
    assert api.asked == ["POST /api/v1/persistentvolumes"]
    assert (tmp_path / "volumes" / "pvc-u-1").is_dir()
    volume = volumes.volume_for(_claim(), "/folder")
    assert volume["spec"]["claimRef"]["uid"] == "u-1"
    assert volume["spec"]["capacity"] == {"storage": "1Gi"}


@pytest.mark.parametrize("held", [[_volume("Available")], []])
def test_a_claim_that_does_not_wait_gets_none(tmp_path: Path, held: list[Object]) -> None:
    api = Api([_claim() if held else _claim(phase="Bound")], held)
    _act(api, tmp_path)
    assert api.asked == []


def test_a_volume_whose_claim_is_gone_goes_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "volumes" / "pvc-u-1"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    api = Api([], [_volume("Released")], status=404)  # somebody else may have removed it first
    _act(api, tmp_path)
    assert api.asked == ["DELETE /api/v1/persistentvolumes/pvc-u-1"]
    assert not folder.exists()


def test_volumes_of_others_are_left_alone(tmp_path: Path) -> None:
    api = Api([], [_volume("Released", "theirs"), _volume("Bound")])
    _act(api, tmp_path)
    assert api.asked == []


def test_a_refusal_is_told_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(httpx2.HTTPStatusError):
        _act(Api([_claim()], [], status=403), tmp_path)
