"""The proxy that the fault tests stand on: what it counts, passes on, and breaks; against the real API server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import orjson
import pytest
from kubernetes_kit import api_faults
from kubernetes_kit.api_calls import Call, Target
from kubernetes_kit.api_proxy import ApiProxy

pytestmark = pytest.mark.cluster
MAPS = "/api/v1/namespaces/default/configmaps"
APPLY = {"Content-Type": "application/apply-patch+yaml"}


@pytest.fixture(scope="module")
def token(control_plane: Any) -> str:
    control_plane.kubectl("delete", "configmaps", "--all", "-n", "default")
    control_plane.kubectl("create", "serviceaccount", "proxied", "-n", "default", check=False)
    control_plane.kubectl(
        "create", "clusterrolebinding", "proxied", "--clusterrole=cluster-admin", "--serviceaccount=default:proxied",
        check=False,
    )  # fmt: skip
    return str(control_plane.token("default", "proxied"))


@pytest.fixture
def proxy(control_plane: Any) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane.server_url, control_plane.ca_file) as running:
        yield running


@pytest.fixture
async def client(proxy: ApiProxy, token: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=proxy.url, headers=headers, timeout=20) as one:
        yield one


async def apply(client: httpx2.AsyncClient, name: str, value: str) -> httpx2.Response:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}}
    query = {"fieldManager": "proxied", "force": "true"}
    return await client.patch(f"{MAPS}/{name}", params=query, headers=APPLY, content=orjson.dumps(body))


@pytest.mark.parametrize(
    ("path", "key", "subresource"),
    [
        ("/api/v1/namespaces/ws-a", "namespaces/ws-a", ""),
        ("/api/v1/namespaces/ws-a/finalize", "namespaces/ws-a", "finalize"),
        ("/api/v1/namespaces/ws-a/secrets/x", "secrets/ws-a/x", ""),
        ("/apis/pyairtable.dev/v1alpha1/workspaces/acme/status", "workspaces/acme", "status"),
        ("/apis/apps/v1/namespaces/a/deployments/d/scale", "deployments/a/d", "scale"),
        ("/apis/apps/v1", "", ""),
        ("/version", "", ""),
    ],
)
def test_a_path_is_read(path: str, key: str, subresource: str) -> None:
    target = Target.of(path)
    assert (target.key, target.subresource) == (key, subresource)


async def test_writes_are_counted_and_unchanging_ones_told_apart(proxy: ApiProxy, client: httpx2.AsyncClient) -> None:
    for value in ("1", "1", "2"):
        (await apply(client, "counted", value)).raise_for_status()
    await client.get(f"{MAPS}/counted")
    await client.patch(f"{MAPS}/counted", params={"dryRun": "All"}, content=b"{}", headers=APPLY)
    writes = proxy.writes()
    assert [(call.verb, call.target.key, call.manager, call.changed) for call in writes] == [
        ("apply", "configmaps/default/counted", "proxied", changed) for changed in (True, False, True)
    ]
    assert [call.number for call in writes] == [1, 2, 3]
    proxy.reset()
    assert not proxy.calls


async def test_the_clients_own_rights_hold(proxy: ApiProxy) -> None:
    async with httpx2.AsyncClient(base_url=proxy.url) as stranger:
        assert (await stranger.get(MAPS)).status_code in (401, 403)


async def test_a_refused_write_never_reaches_the_server(proxy: ApiProxy, client: httpx2.AsyncClient) -> None:
    with proxy.fault(api_faults.Refuse(429, retry_after=1)):
        answer = await apply(client, "refused", "1")
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["reason"]) == (429, "1", "TooManyRequests")
    assert (await client.get(f"{MAPS}/refused")).status_code == 404
    assert not proxy.writes()


@pytest.mark.parametrize("answered", [False, True])
async def test_a_kill_comes_before_or_after_the_server(
    proxy: ApiProxy, client: httpx2.AsyncClient, answered: bool
) -> None:
    victim = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    name = f"killed-{answered}".lower()
    kill = api_faults.Kill(victim.pid, 2, answered=answered)
    with proxy.fault(kill):
        (await apply(client, name, "1")).raise_for_status()
        with pytest.raises(httpx2.TransportError):
            await apply(client, name, "2")
    assert await victim.wait() == -9
    assert kill.at is not None
    assert kill.at.number == 2
    assert (await client.get(f"{MAPS}/{name}")).json()["data"]["a"] == ("2" if answered else "1")


async def soon(check: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not check():  # noqa: ASYNC110 - the proxy's thread makes it true
            await asyncio.sleep(0.01)


class Watch:
    """A watch that collects what it hears of one object."""

    def __init__(self, client: httpx2.AsyncClient, name: str, version: str = "") -> None:
        self._client, self._name, self._version = client, name, version
        self.heard: list[str] = []
        self.broken = False

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        query = {"watch": "1", "fieldSelector": f"metadata.name={self._name}", "resourceVersion": self._version}
        try:
            async with self._client.stream("GET", MAPS, params=query) as stream:
                async for line in stream.aiter_lines():
                    event = json.loads(line)
                    self.heard.append(f"{event['type']} {event['object'].get('data', {}).get('a')}")
        except httpx2.TransportError:
            self.broken = True

    async def until(self, number: int) -> list[str]:
        await soon(lambda: len(self.heard) >= number)
        return self.heard


async def test_a_watch_streams_and_can_be_cut(proxy: ApiProxy, client: httpx2.AsyncClient) -> None:
    version = (await client.get(MAPS)).json()["metadata"]["resourceVersion"]
    async with Watch(client, "watched", version) as watch:
        await apply(client, "watched", "1")
        await apply(client, "watched", "2")
        assert await watch.until(2) == ["ADDED 1", "MODIFIED 2"]
        assert proxy.cut_watches() == 1
        await soon(lambda: watch.broken)


async def test_a_silent_watch_stays_open_and_tells_nothing(proxy: ApiProxy, client: httpx2.AsyncClient) -> None:
    version = (await client.get(MAPS)).json()["metadata"]["resourceVersion"]
    silence = api_faults.Silence()
    async with Watch(client, "silent", version) as watch:
        with proxy.fault(silence):
            await apply(client, "silent", "1")
            await soon(lambda: silence.swallowed)
        await apply(client, "silent", "2")
        assert await watch.until(1) == ["MODIFIED 2"]


async def test_a_stale_server_answers_the_past_until_it_thaws(proxy: ApiProxy, client: httpx2.AsyncClient) -> None:
    await apply(client, "stale", "old")
    version = (await client.get(MAPS)).json()["metadata"]["resourceVersion"]
    await apply(client, "stale", "new")
    stale = api_faults.Stale(version)

    def value(answer: httpx2.Response) -> str:
        found = [item["data"]["a"] for item in answer.json()["items"] if item["metadata"]["name"] == "stale"]
        return str(found[0])

    with proxy.fault(stale):
        listed = await client.get(MAPS)
        assert value(listed) == "old"
        assert listed.json()["metadata"]["resourceVersion"] == version
        async with Watch(client, "stale", version) as watch:
            await asyncio.sleep(0.1)
            assert not watch.heard
            stale.thaw.set()
            assert await watch.until(1) == ["MODIFIED new"]
        assert value(await client.get(MAPS)) == "new"


async def test_a_watch_is_told_that_its_place_is_gone(proxy: ApiProxy, client: httpx2.AsyncClient) -> None:
    with proxy.fault(api_faults.Gone()):
        assert (await client.get(MAPS, params={"watch": "1"})).status_code == 410
    with proxy.fault(api_faults.Gone(by_event=True)):
        event = (await client.get(MAPS, params={"watch": "1"})).json()
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_a_call_that_only_asks_is_no_write() -> None:
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    token = "/api/v1/namespaces/a/serviceaccounts/b/token"
    assert not any(Call.of("POST", path, "", "application/json", b"{}").mutates for path in (review, token))
    lease = Call.of("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "", "application/json", b"{}")
    assert lease.mutates
    assert not lease.counts
