"""The platform as its REST users see it: health, tools, schema and a streamed chat."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from pyairtable_devkit.topology import SERVICES, Plan


class StepFailedError(Exception):
    """A step of the demo did not hold; the message says what was expected and what was there."""


@dataclass(frozen=True)
class Turn:
    """One question and its answer. tools are in order of first use, cost is the platform's cost_info."""

    answer: str
    tools: tuple[str, ...]
    cost: Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """An event of a streamed chat turn; payload is the JSON of its kind."""

    kind: str
    payload: Mapping[str, Any]


class PlatformClient:
    """Calls the services of a stack on their HTTP ports with a person's or workspace's key."""

    def __init__(self, plan: Plan, key: str = "") -> None:
        self._plan = plan
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(timeout=httpx2.Timeout(120, connect=5), headers=headers, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def health(self) -> dict[str, dict[str, Any]]:
        """Return the /health answer of every service, by title."""
        return {
            service.title: self._get(f"{self._plan.http(service.name)}/health", accept=(200, 503))
            for service in SERVICES
        }

    def tools(self) -> list[dict[str, Any]]:
        return list(self._get(f"{self._plan.http('mcp-server')}/tools")["tools"])

    def tables(self, base_id: str) -> list[dict[str, Any]]:
        """Return the tables of a base as the gateway tells them."""
        return list(self._get(f"{self._plan.http('airtable-gateway')}/bases/{base_id}/schema")["tables"])

    def chat(self, message: str, session_id: str, show: Callable[[Event], None]) -> Turn:
        """Send a message through the door, hand each event to show as it comes, and return the whole turn."""
        url = f"{self._plan.http('api-gateway')}/api/chat/stream"
        body = {"message": message, "session_id": session_id}
        try:
            with self._http.stream("POST", url, json=body) as response:
                if response.status_code != httpx2.codes.OK:
                    response.read()
                    raise StepFailedError(_refusal(response))
                return _collect(_events(response.iter_lines()), show)
        except httpx2.HTTPError as error:
            raise StepFailedError(f"POST {url}: {error!r}") from error

    def _get(self, url: str, accept: tuple[int, ...] = (200,)) -> dict[str, Any]:
        try:
            response = self._http.get(url)
        except httpx2.HTTPError as error:
            raise StepFailedError(f"GET {url}: {error!r}") from error
        if response.status_code not in accept:
            raise StepFailedError(_refusal(response))
        return dict(response.json())


def _refusal(response: httpx2.Response) -> str:
    request = response.request
    return f"{request.method} {request.url} answered {response.status_code}: {response.text[:400]}"


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """Read server-sent events (HTML standard, 9.2.6): fields up to an empty line are one event."""
    kind, data = "", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif not line and data:
            yield Event(kind, _payload(kind, json.loads("\n".join(data))))
            kind, data = "", []


def _payload(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a run event that belongs to its kind; an error after the start is problem details."""
    return body if kind == "error" else dict(body[kind])


def _collect(events: Iterator[Event], show: Callable[[Event], None]) -> Turn:
    text: list[str] = []
    for event in events:
        show(event)
        match event.kind:
            case "text":
                text.append(event.payload["text"])
            case "done":
                done = event.payload
                answer = done.get("response") or "".join(text)
                return Turn(answer, tuple(done.get("tools_used", ())), done.get("cost_info", {}))
            case "failed":
                raise StepFailedError(f"{event.payload.get('reason')}: {event.payload.get('message')}")
            case "error":
                raise StepFailedError(f"the stream broke off: {event.payload.get('detail') or event.payload}")
            case "cancelled":
                raise StepFailedError("the run was cancelled")
    raise StepFailedError("the stream ended before the answer was complete")
