"""The referee of the operator's benchmark: a bare loop that server-side-applies the same objects, and thinks nothing.

It goes through `kubernetes.aio`'s ApiClient with as many applies at a time as the operator has workers, an object after
the other within a workspace (a namespace has to be there first), workspaces beside each other.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psutil
from kubernetes.aio import client, config

from pyairtable_operator.kinds import KINDS

Body = dict[str, Any]
OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "finalizers")
ORDER = ("Workspace", "Namespace", "ServiceAccount", "Role", "ClusterRole")


def plain(body: Mapping[str, Any], kind: str) -> Body:
    """An object as somebody would apply it: without what the server made, without status."""
    metadata = {name: value for name, value in body["metadata"].items() if name not in OF_THE_SERVER}
    rest = {name: value for name, value in body.items() if name not in ("metadata", "status", "apiVersion", "kind")}
    if kind == "Namespace":
        rest = {}
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, **rest}


def renamed(objects: Sequence[Body], old: str, new: str) -> list[Body]:
    """The objects of another workspace, made from those of one; what the others refer to comes first."""
    copies: list[Body] = orjson.loads(orjson.dumps(objects).replace(old.encode(), new.encode()))
    return sorted(copies, key=lambda one: ORDER.index(one["kind"]) if one["kind"] in ORDER else len(ORDER))


async def apply_all(kubeconfig: str, workspaces: Sequence[Sequence[Body]], concurrency: int) -> Body:
    """Apply everything; seconds, objects and the client's own CPU seconds and resident MiB."""
    await config.load_kube_config(config_file=kubeconfig, persist_config=False)  # type: ignore[no-untyped-call]
    gate = asyncio.Semaphore(concurrency)
    process = psutil.Process()
    cpu, started = sum(process.cpu_times()[:2]), time.perf_counter()
    async with client.ApiClient() as api:

        async def one(objects: Sequence[Body]) -> None:
            async with gate:
                for body in objects:
                    await apply(api, body)

        await asyncio.gather(*(one(objects) for objects in workspaces))
    return {
        "seconds": time.perf_counter() - started,
        "objects": sum(map(len, workspaces)),
        "cpu_seconds": sum(process.cpu_times()[:2]) - cpu,
        "resident_mib": process.memory_info().rss / 2**20,
    }


async def apply(api: client.ApiClient, body: Body) -> None:
    """One server-side apply."""
    metadata = body["metadata"]
    path = KINDS[body["kind"]].path(metadata.get("namespace", ""), metadata["name"])
    request = await api.param_serialize(
        method="PATCH",
        resource_path=path,
        query_params=[("fieldManager", "bare-loop"), ("force", "true")],
        header_params={"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"},
        body=body,
        auth_settings=["BearerToken"],
    )
    answer = await api.call_api(*request)
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {str(answer.data)[:300]}")


if __name__ == "__main__":
    kubeconfig, concurrency = sys.argv[1:]
    result = asyncio.run(apply_all(kubeconfig, orjson.loads(sys.stdin.buffer.read()), int(concurrency)))
    print(orjson.dumps(result).decode())
