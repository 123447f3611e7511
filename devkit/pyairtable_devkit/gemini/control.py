"""The control side under /_emulator: for tests and people, apart from Gemini's surface, never counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.types import Receive, Scope, Send

from pyairtable_devkit.gemini.faults import FaultError
from pyairtable_devkit.gemini.http import read_body, send_json
from pyairtable_devkit.gemini.models import LATEST_ALIASES, MODELS
from pyairtable_devkit.gemini.safety import UNSAFE_ANSWER, UNSAFE_PROMPT
from pyairtable_devkit.gemini.script import Script, ScriptError, parse_script
from pyairtable_devkit.gemini.settings import SettingsError
from pyairtable_devkit.gemini.state import State

Handler = Callable[[State, bytes, dict[str, list[str]]], Any]

ENDPOINTS = {
    "POST /{v1|v1beta}/models/{model}:generateContent": "one answer",
    "POST /{v1|v1beta}/models/{model}:streamGenerateContent?alt=sse": "an answer in pieces (without alt: an array)",
    "POST /{v1|v1beta}/models/{model}:countTokens": "tokens of a request",
    "GET /{v1|v1beta}/models[/{model}]": "the models",
    "GET, POST, DELETE /_emulator/script": "scripted answers (YAML or JSON)",
    "GET, POST, DELETE /_emulator/faults": "injected faults",
    "GET, PATCH /_emulator/settings": "settings",
    "GET /_emulator/log?since=SEQ": "requests seen, oldest first",
    "GET /_emulator/counters": "calls, models, statuses, sources, tokens",
    "POST /_emulator/reset": "back to how it started",
}


class ControlError(ValueError):
    """A control request that cannot be understood."""


async def control(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request under /_emulator."""
    path = scope["path"].removeprefix("/_emulator").strip("/")
    methods = _ROUTES.get(path)
    if methods is None:
        await send_json(send, 404, {"error": f"no such page; there are {', '.join(_ROUTES)}"})
        return
    handler = methods.get(scope["method"])
    if handler is None:
        await send_json(send, 405, {"error": f"/_emulator/{path} takes {', '.join(methods)}"})
        return
    query = parse_qs(scope["query_string"].decode("latin-1"))
    try:
        answer = handler(state, await read_body(receive), query)
    except (ControlError, FaultError, ScriptError, SettingsError, orjson.JSONDecodeError) as error:
        await send_json(send, 400, {"error": str(error)})
        return
    await send_json(send, 200, answer)


def _index(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    return {
        "what": "Gemini emulator of pyairtable-devkit: rules, not a model",
        "api_key": state.settings.api_key,
        "models": list(MODELS),
        "aliases_on_v1beta": LATEST_ALIASES,
        "filter_phrases": [UNSAFE_PROMPT, UNSAFE_ANSWER],
        "endpoints": ENDPOINTS,
    }


def _log(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    since = query.get("since", ["0"])[0]
    if not since.isdigit():
        raise ControlError(f"since={since!r} is not the seq of an entry")
    return {"entries": [entry.as_dict() for entry in state.log if entry.seq > int(since)]}


def _counters(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    return {name: dict(counter) for name, counter in state.counters.items()}


def _get_settings(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    return state.settings.as_dict()


def _patch_settings(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    state.settings = state.settings.changed(_mapping(body))
    return state.settings.as_dict()


def _get_faults(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    return {"faults": state.faults.as_list()}


def _add_fault(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    return state.faults.add(_mapping(body)).as_dict()


def _clear_faults(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    state.faults.clear()
    return {"faults": []}


def _get_script(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    return state.script.as_dict()


def _set_script(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    state.script = parse_script(body)
    return state.script.as_dict()


def _clear_script(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    state.script = Script()
    return state.script.as_dict()


def _reset(state: State, body: bytes, query: dict[str, list[str]]) -> Any:
    state.reset()
    return {"reset": True}


def _mapping(body: bytes) -> dict[str, Any]:
    data = orjson.loads(body)
    if not isinstance(data, dict):
        raise ControlError("the body is not a JSON object")
    return data


_ROUTES: dict[str, dict[str, Handler]] = {
    "": {"GET": _index},
    "log": {"GET": _log},
    "counters": {"GET": _counters},
    "settings": {"GET": _get_settings, "PATCH": _patch_settings},
    "faults": {"GET": _get_faults, "POST": _add_fault, "DELETE": _clear_faults},
    "script": {"GET": _get_script, "POST": _set_script, "DELETE": _clear_script},
    "reset": {"POST": _reset},
}
