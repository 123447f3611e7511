"""The HTTP surface: routing, keys, and the way of a call through faults, checks, script and planner."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.types import Receive, Scope, Send

from pyairtable_devkit.gemini.control import control
from pyairtable_devkit.gemini.delivery import deliver
from pyairtable_devkit.gemini.errors import (
    ApiError,
    bad_fields,
    invalid,
    missing_key,
    of_status,
    quota_exceeded,
    unknown_model,
    wrong_key,
)
from pyairtable_devkit.gemini.faults import Fault
from pyairtable_devkit.gemini.fields import normalise
from pyairtable_devkit.gemini.http import (
    MAX_BODY_BYTES,
    BodyTooLarge,
    header,
    read_body,
    reset_connection,
    send_json,
    wait_for_disconnect,
)
from pyairtable_devkit.gemini.json_mode import as_json
from pyairtable_devkit.gemini.models import MODELS, Model, find_model
from pyairtable_devkit.gemini.planner import plan
from pyairtable_devkit.gemini.reply import Delivery, Reply
from pyairtable_devkit.gemini.request import GenerateRequest, read_request
from pyairtable_devkit.gemini.safety import filtered
from pyairtable_devkit.gemini.state import Entry, State
from pyairtable_devkit.gemini.tokens import content_tokens, prompt_tokens
from pyairtable_devkit.gemini.validation import check_contents, check_request
from pyairtable_devkit.gemini.wire import Generation, generate

_log = logging.getLogger(__name__)

_PATH = re.compile(r"/(?P<version>v1|v1beta)/models(?:/(?P<model>[^/:]+)(?::(?P<call>\w+))?)?/?")
_CALLS = {"generateContent", "streamGenerateContent", "countTokens"}


class GeminiApp:
    """The ASGI application over one State."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path = scope["path"]
        if path == "/_emulator" or path.startswith("/_emulator/"):
            await control(self.state, scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        key = header(scope, b"x-goog-api-key") or query.get("key", [""])[0]
        entry = self.state.arrived(scope["method"], path, self._label(key))
        try:
            await self._route(entry, scope, query, receive, send)
        except ApiError as error:
            entry.status, entry.completed = error.code, True
            array = entry.call == "streamGenerateContent" and query.get("alt") != ["sse"]
            await send_json(send, error.code, [error.body()] if array else error.body())
        except Exception:
            entry.status = 500
            _log.exception("the emulator itself failed on %s %s", entry.method, entry.path)
            raise
        finally:
            self.state.count(entry)

    def _label(self, key: str) -> str:
        if not key:
            return "none"
        return "right" if key == self.state.settings.api_key else "wrong"

    async def _route(
        self, entry: Entry, scope: Scope, query: dict[str, list[str]], receive: Receive, send: Send
    ) -> None:
        found = _PATH.fullmatch(entry.path)
        if found is None:
            raise ApiError(404, f"There is nothing at {entry.path}; the emulator's own pages are under /_emulator.")
        entry.version, entry.model = found["version"], found["model"] or ""
        entry.call = found["call"] or ("getModel" if entry.model else "listModels")
        if entry.key == "none":
            raise missing_key()
        if entry.key == "wrong":
            raise wrong_key()
        fault = self.state.faults.strike(method=entry.method, path=entry.path, model=entry.model)
        if fault and await self._strike(fault, entry, receive, send):
            return
        if entry.method == "GET" and not found["call"]:
            await self._models(entry, query, send)
        elif entry.method == "POST" and entry.call in _CALLS:
            await self._call(entry, query, receive, send, cut=fault is not None and fault.kind == "cut")
        else:
            raise ApiError(404, f"{entry.method} {entry.path} is not a method of this API.")

    async def _strike(self, fault: Fault, entry: Entry, receive: Receive, send: Send) -> bool:
        """Let a fault act; True when the call is over with that."""
        entry.source = "fault"
        if fault.kind == "status":
            raise of_status(fault.status, model=entry.model, message=fault.message, retry_seconds=fault.retry_seconds)
        if fault.kind == "reset":
            await reset_connection(send)
            return True
        if fault.kind == "timeout":
            await wait_for_disconnect(receive)
            return True
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        return False

    async def _models(self, entry: Entry, query: dict[str, list[str]], send: Send) -> None:
        entry.status, entry.completed = 200, True
        if entry.model:
            model = find_model(entry.model, entry.version)
            if model is None:
                raise unknown_model(entry.model, entry.version, "getModel")
            await send_json(send, 200, model.describe())
            return
        await send_json(send, 200, _model_page(query))

    async def _call(
        self, entry: Entry, query: dict[str, list[str]], receive: Receive, send: Send, *, cut: bool
    ) -> None:
        body = await _read_json(receive)
        if entry.call == "countTokens":
            await self._count_tokens(entry, body, send)
            return
        entry.body = body
        normalised = normalise(body, "GenerateContentRequest")
        model = self._model(entry)
        request = read_request(normalised)
        check_request(request, model, signatures=self.state.settings.check_signatures)
        wait = self.state.over_quota(model.name)
        if wait is not None:
            raise quota_exceeded(model.name, round(wait, 3), self.state.settings.requests_per_minute)
        generation, delivery = await self._generate(entry, request, model)
        if cut:
            delivery = replace(delivery, cut_after=1)
        streaming = ""
        if entry.call == "streamGenerateContent":
            streaming = "sse" if query.get("alt") == ["sse"] else "array"
        entry.completed = await deliver(send, generation, delivery, self.state.settings, streaming)

    def _model(self, entry: Entry) -> Model:
        model = find_model(entry.model, entry.version)
        if model is None:
            raise unknown_model(entry.model, entry.version, entry.call)
        return model

    async def _generate(self, entry: Entry, request: GenerateRequest, model: Model) -> tuple[Generation, Delivery]:
        state = self.state
        cached = state.cache.lookup(model.name, request, state.settings.cache_minimum_tokens)
        reply, delivery = await self._reply(entry, request, model)
        calls = tuple(replace(call, id=call.id or state.new_id()) for call in reply.calls)
        reply = replace(reply, calls=calls)
        generation = generate(reply, request, model, cached=cached, response_id=state.new_id(22))
        if generation.usage["promptTokenCount"] > model.input_tokens:
            raise invalid(
                f"The input token count ({generation.usage['promptTokenCount']}) exceeds the maximum "
                f"number of tokens "
                f"allowed ({model.input_tokens})."
            )
        entry.status, entry.finish, entry.usage = 200, generation.block or generation.finish, generation.usage
        entry.text, entry.calls = (
            reply.text[:2000],
            [{"name": call.name, "args": call.args} for call in calls],
        )
        return generation, delivery

    async def _reply(self, entry: Entry, request: GenerateRequest, model: Model) -> tuple[Reply, Delivery]:
        blocked = filtered(request)
        if blocked is not None:
            entry.source = "filter"
            return blocked, Delivery()
        scripted = self.state.script.answer(request, model.name)
        if scripted is not None and (scripted.reply or scripted.error):
            entry.source = "script"
            if scripted.error:
                await asyncio.sleep(scripted.delivery.delay)
                raise scripted.error
            return scripted.reply or Reply(), scripted.delivery
        entry.source = "planner"
        obey = self.state.settings.obey_injection or (scripted is not None and scripted.obey_injection)
        reply = plan(request, obey_injection=obey)
        return replace(reply, text=as_json(reply.text, request)), scripted.delivery if scripted else Delivery()

    async def _count_tokens(self, entry: Entry, body: Any, send: Send) -> None:
        asked = normalise(body, "CountTokensRequest")
        self._model(entry)
        inner = asked.get("generateContentRequest") or {"contents": asked.get("contents") or []}
        request = read_request(inner)
        check_contents(request.contents)
        total = (
            prompt_tokens(request) if "generateContentRequest" in asked else sum(map(content_tokens, inner["contents"]))
        )
        entry.status, entry.completed = 200, True
        details = [{"modality": "TEXT", "tokenCount": total}]
        await send_json(send, 200, {"totalTokens": total, "promptTokensDetails": details})


async def _read_json(receive: Receive) -> Any:
    try:
        raw = await read_body(receive)
    except BodyTooLarge:
        raise invalid(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.") from None
    try:
        return orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise bad_fields([("", f"Invalid JSON payload received. {error}")]) from error


def _model_page(query: dict[str, list[str]]) -> dict[str, Any]:
    """A page of models.list: pageSize up to 1000 (default 50), pageToken as it was given out."""
    size, token = query.get("pageSize", ["50"])[0], query.get("pageToken", ["0"])[0]
    if not size.isdigit() or not token.isdigit():
        raise bad_fields([("page_size", f"Invalid value at 'page_size' (TYPE_INT32), \"{size}\"")])
    begin, count = int(token), min(int(size) or 50, 1000)
    models = [model.describe() for model in MODELS.values()]
    page: dict[str, Any] = {"models": models[begin : begin + count]}
    if begin + count < len(models):
        page["nextPageToken"] = str(begin + count)
    return page
