"""The wire to Airtable: one HTTP call, its answer as JSON or as a typed refusal. No rule about when or how often."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import httpx2
import orjson

from .answers import NoAnswer, refusal
from .wire import AirtableCall, Json

_KEEP_ALIVE_SECONDS = 4.0
"""Idle connections are closed before common servers do (5 s), lest a call is written into one that is being closed."""


class Gate(Protocol):
    """Told how far a call is. `renew` is awaited before the first byte and may hold it back."""

    async def renew(self) -> None: ...

    def sent(self) -> None: ...

    def answered(self) -> None: ...


class AirtableClient:
    """Sends calls. Redirects are not followed: the token would travel with them."""

    def __init__(
        self,
        *,
        api_url: str,
        content_url: str,
        timeout_seconds: float,
        largest_answer: int,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._content_url = content_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._largest_answer = largest_answer
        self._client = httpx2.AsyncClient(
            timeout=timeout_seconds,
            limits=httpx2.Limits(max_connections=None, keepalive_expiry=_KEEP_ALIVE_SECONDS),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "pyairtable-gateway", "accept": "application/json"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, call: AirtableCall, token: str, gate: Gate, *, timeout: float | None = None) -> Json:
        """Send a call and return the JSON of its answer.

        Raises Refusal for an answer that says no, NoAnswer when none came or none that can be used; whatever the gate
        raises passes through, with nothing sent.
        """
        progress = _Progress(gate)
        limit = min(self._timeout_seconds, timeout) if timeout is not None else self._timeout_seconds
        try:
            async with asyncio.timeout(limit):  # httpx bounds each read, this the whole: a trickle is no answer
                status, headers, body = await self._exchange(call, token, progress)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise NoAnswer(_describe(error), sent=progress.is_on_its_way) from error
        if 200 <= status < 300:
            return _content(body, call.holds)
        if 300 <= status < 400:
            raise NoAnswer("Airtable's address answers with a redirect, which is not followed", sent=True)
        raise refusal(status, headers, body)

    async def _exchange(self, call: AirtableCall, token: str, progress: _Progress) -> tuple[int, httpx2.Headers, bytes]:
        request = self._client.build_request(
            call.method,
            (self._content_url if call.on_content_host else self._api_url) + call.target,
            content=None if call.body is None else orjson.dumps(call.body),
            headers=self._headers(call, token),
            extensions={"trace": progress.note},
        )
        response = await self._client.send(request, stream=True)
        try:
            return response.status_code, response.headers, await self._read(response)
        finally:
            await response.aclose()

    async def _read(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._largest_answer:
                raise NoAnswer(f"Airtable's answer is larger than {self._largest_answer} bytes", sent=True)
        return bytes(body)

    @staticmethod
    def _headers(call: AirtableCall, token: str) -> dict[str, str]:
        headers = {"authorization": f"Bearer {token}"}
        if call.body is not None:
            headers["content-type"] = "application/json"
        return headers


class _Progress:
    """Follows one exchange by httpx's trace events.

    The gate is passed after the connection is there, so that no handshake lies between permit and arrival.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.is_on_its_way = False

    async def note(self, event: str, info: dict[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            await self._gate.renew()
            self.is_on_its_way = True
        elif event == "http11.send_request_body.complete":
            self._gate.sent()
        elif event == "http11.receive_response_headers.complete":
            self._gate.answered()


def _content(body: bytes, holds: str) -> Json:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NoAnswer("Airtable's answer is cut or not JSON", sent=True) from error
    if not isinstance(content, dict) or holds not in content:
        raise NoAnswer(f'Airtable\'s answer is not what its documentation says: it has no "{holds}"', sent=True)
    return content


def _describe(error: Exception) -> str:
    """What happened, without addresses."""
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError):
        return "Airtable cannot be reached"
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return "Airtable did not answer in time"
    return "the connection to Airtable broke"
