"""A copy of all objects of some kinds, kept up to date by watches: one thread for each kind."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import orjson

_AGAIN_SECONDS = 0.3
_SILENCE_SECONDS = 330.0  # the API server ends a watch by itself after five to ten minutes

Key = tuple[str, str]
Objects = Mapping[Key, Mapping[str, Any]]


class Mirror:
    """The objects below some paths of the API, by namespace and name. changed is set whenever one is different."""

    def __init__(self, api: httpx2.Client, paths: Sequence[str]) -> None:
        """Copy nothing yet; a path is that of a list, such as /api/v1/pods."""
        self.changed = threading.Event()
        self._api = api
        self._paths = paths
        self._objects: dict[str, dict[Key, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to copy; is_complete() tells when all kinds are there."""
        for path in self._paths:
            threading.Thread(target=self._keep, args=(path,), name=path, daemon=True).start()

    def is_complete(self) -> bool:
        """Return whether every kind has been listed."""
        with self._lock:
            return len(self._objects) == len(self._paths)

    def of(self, path: str) -> Objects:
        """Return the objects below a path as they are now; empty before they have been listed."""
        with self._lock:
            return dict(self._objects.get(path, {}))

    def _keep(self, path: str) -> None:
        while True:
            try:
                self._watch(path, self.list(path))
            except (httpx2.TransportError, httpx2.HTTPStatusError, _WatchEndedError) as error:
                # The API server may be starting anew, or the agent's rights may not be there yet.
                print(f"{path} is listed again: {error}", flush=True)
                time.sleep(_AGAIN_SECONDS)

    def list(self, path: str) -> str:
        """Copy all objects below a path now and return the version of the list."""
        answer = orjson.loads(self._api.get(path).raise_for_status().content)
        with self._lock:
            self._objects[path] = {_key(item): item for item in answer["items"]}
        self.changed.set()
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, path: str, version: str) -> None:
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        timeout = httpx2.Timeout(10.0, read=_SILENCE_SECONDS)
        with self._api.stream("GET", path, params=query, timeout=timeout) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                self._take(path, orjson.loads(line))
        raise _WatchEndedError("the watch has ended")

    def _take(self, path: str, event: Mapping[str, Any]) -> None:
        item = event["object"]
        if event["type"] == "ERROR":
            raise _WatchEndedError(item.get("message", "the watch failed"))
        if event["type"] == "BOOKMARK":
            return
        with self._lock:
            if event["type"] == "DELETED":
                self._objects[path].pop(_key(item), None)
            else:
                self._objects[path][_key(item)] = item
        self.changed.set()


class _WatchEndedError(Exception):
    """A watch has to be begun again with a list."""


def _key(item: Mapping[str, Any]) -> Key:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
