"""The API server with today's custom resources, asked over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kubernetes_kit.callers import Body, Requests, path_of

from pyairtable_devkit.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def requests(control_plane: ControlPlane, crds: object) -> Requests:
    """Requests to the API server."""
    return Requests(control_plane.api)


@pytest.fixture
def stored(requests: Requests) -> Iterator[Callable[[Body], Body]]:
    """Store an object for the time of the test."""
    made: list[Body] = []

    def store(body: Body) -> Body:
        answer = requests.create(body, real=True)
        assert answer.accepted, answer.message
        made.append(answer.body)
        return answer.body

    yield store
    for body in made:
        requests.api.delete(path_of(body))
