"""Requests and answers as ASGI messages."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.types import Message, Receive, Scope, Send

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.errors import ApiError

MAX_URL = 16_000
"""Characters of path and query (Airtable help: URL length limit)."""

_JSON = "application/json; charset=utf-8"
_FIXED_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Accept-Encoding"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"DELETE,GET,OPTIONS,PATCH,POST,PUT"),
    (
        b"access-control-allow-headers",
        b"authorization,content-length,content-type,user-agent,x-airtable-application-id,x-airtable-user-agent,"
        b"x-api-version,x-requested-with",
    ),
]


@dataclass(slots=True)
class Request:
    """What came over the wire, the path still encoded."""

    method: str
    raw_path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    receive: Receive

    @property
    def origin(self) -> str:
        """Scheme and host by which the caller reached us; links lead back there."""
        return f"http://{self.headers.get('host', 'localhost')}"

    @property
    def segments(self) -> list[str]:
        """The path cut at its slashes and then decoded, so that %2F stays within a name."""
        return segments(self.raw_path)

    @property
    def is_json(self) -> bool:
        """Whether the body says that it is JSON, with or without a charset."""
        return "json" in self.headers.get("content-type", "").lower()


@dataclass(slots=True)
class Answer:
    """Status, body and headers of an answer."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)


def raw_path(scope: Scope) -> str:
    """The path as it was sent, without the query."""
    path: str = scope["raw_path"].decode("latin-1")
    return path.partition("?")[0]


def segments(path: str) -> list[str]:
    """The decoded parts of a path; a slash at its end means nothing."""
    return [unquote(part) for part in path.removesuffix("/").split("/")[1:]]


async def read_request(scope: Scope, receive: Receive, max_body: int) -> Request:
    """The whole request; ApiError when its address or body is too long."""
    path, query = raw_path(scope), scope["query_string"].decode("latin-1")
    if len(path) + len(query) > MAX_URL:
        raise ApiError(414, {"error": {"type": "REQUEST_URI_TOO_LONG", "message": "The URL is too long"}})
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    body = await read_body(receive, max_body)
    return Request(scope["method"], path, parse_qsl(query, keep_blank_values=True), headers, body, receive)


async def read_body(receive: Receive, limit: int | None) -> bytes:
    """The whole body; ApiError 413 as soon as it is over the limit."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if limit is not None and size > limit:
            raise errors.typed(413, "REQUEST_TOO_LARGE", "Request body is too large")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def refusal(error: ApiError) -> Answer:
    """An error as an answer."""
    return Answer(error.status, b"" if error.body is None else orjson.dumps(error.body), headers=error.headers)


def start(answer: Answer) -> Message:
    """The first message of an answer: status and headers."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *_FIXED_HEADERS,
        *((name.encode(), value.encode()) for name, value in answer.headers.items()),
    ]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def reply(send: Send, answer: Answer) -> None:
    """Sends an answer whole."""
    await send(start(answer))
    await send({"type": "http.response.body", "body": answer.body})
