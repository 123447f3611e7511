"""The emulator's own side under `/_emulator`, for tests, benchmarks and people: not part of Airtable.

It is neither counted nor limited. Wrong input gives 400 with one sentence.
"""

from collections.abc import Callable
from typing import Any

import orjson

from pyairtable_devkit.airtable import interface, routes, state
from pyairtable_devkit.airtable.emulator import Emulator
from pyairtable_devkit.airtable.faults import FaultError
from pyairtable_devkit.airtable.settings import SettingsError

Query = dict[str, str]
Body = dict[str, Any]
Action = Callable[[Emulator, Query, Body], Any]


class ControlError(ValueError):
    """A wrong request to the control side; the message says why."""


def answer(emulator: Emulator, method: str, path: str, query: Query, body: bytes) -> tuple[int, Any]:
    """HTTP status and JSON for a call to the control side."""
    actions = _ACTIONS.get(path.rstrip("/"))
    if actions is None:
        return 404, {"error": f"there is no {path}; see /_emulator"}
    action = actions.get(method)
    if action is None:
        return 405, {"error": f"{path} takes {', '.join(actions)}"}
    try:
        return 200, action(emulator, query, _object(body))
    except (ControlError, FaultError, SettingsError, interface.InterfaceError, state.StateError) as error:
        return 400, {"error": str(error)}


def _object(body: bytes) -> Body:
    if not body.strip():
        return {}
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ControlError(f"the body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise ControlError("the body must be a JSON object")
    return parsed


def _index(emulator: Emulator, query: Query, body: Body) -> Any:
    world = emulator.world
    return {
        "emulator": "PyAirtable devkit: an emulator of the Airtable Web API, not Airtable",
        "seed": str(emulator.settings.seed.name),
        "tokens": [
            {
                "token": token.secret,
                "label": token.label,
                "user": world.users[token.user_id].email,
                "scopes": sorted(token.scopes),
                "bases": {base: token.role_in(base) for base in world.bases},
            }
            for token in world.tokens.values()
        ],
        "bases": [
            {
                "id": base.id,
                "name": base.name,
                "workspaceId": base.workspace_id,
                "tables": {table.name: len(table.records) for table in base.tables.values()},
            }
            for base in world.bases.values()
        ],
        "api": [f"{endpoint.method} /v0{endpoint.path}" for endpoint in routes.ENDPOINTS],
        "control": [f"{method} {path}" for path, actions in _ACTIONS.items() for method in actions],
    }


def _counters(emulator: Emulator, query: Query, body: Body) -> Any:
    return {**emulator.traffic.counters(), "calls_this_month": dict(emulator.limiter.used)}


def _log(emulator: Emulator, query: Query, body: Body) -> Any:
    since, limit = (_whole(query, name) for name in ("since", "limit"))
    entries = emulator.traffic.log(since or 0, limit)
    return {"entries": entries, "last": entries[-1]["number"] if entries else since or 0}


def _whole(query: Query, name: str) -> int | None:
    text = query.get(name)
    if text is not None and not text.isdecimal():
        raise ControlError(f"{name} must be a whole number, not {text!r}")
    return None if text is None else int(text)


def _faults(emulator: Emulator, query: Query, body: Body) -> Any:
    return {"faults": [fault.as_dict() for fault in emulator.faults.active]}


def _add_fault(emulator: Emulator, query: Query, body: Body) -> Any:
    return emulator.faults.add(body).as_dict()


def _clear_faults(emulator: Emulator, query: Query, body: Body) -> Any:
    emulator.faults.clear()
    return {"faults": []}


def _settings(emulator: Emulator, query: Query, body: Body) -> Any:
    return emulator.settings.as_dict()


def _change_settings(emulator: Emulator, query: Query, body: Body) -> Any:
    emulator.configure(body)
    return emulator.settings.as_dict()


def _advance(emulator: Emulator, query: Query, body: Body) -> Any:
    seconds = body.get("advance")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise ControlError("advance must be a number of seconds from 0")
    emulator.clock.advance(seconds)
    return {"now": emulator.clock.now().isoformat()}


def _interface(emulator: Emulator, query: Query, body: Body) -> Any:
    return interface.act(emulator, body)


def _reset(emulator: Emulator, query: Query, body: Body) -> Any:
    emulator.reset()
    return {"reset": True}


def _state(emulator: Emulator, query: Query, body: Body) -> Any:
    return state.dump(emulator.world)


def _restore(emulator: Emulator, query: Query, body: Body) -> Any:
    emulator.resume(state.load(body, emulator.clock, emulator.world.ids))
    return {"restored": True}


_ACTIONS: dict[str, dict[str, Action]] = {
    "/_emulator": {"GET": _index},
    "/_emulator/counters": {"GET": _counters},
    "/_emulator/log": {"GET": _log},
    "/_emulator/faults": {"GET": _faults, "POST": _add_fault, "DELETE": _clear_faults},
    "/_emulator/settings": {"GET": _settings, "PATCH": _change_settings},
    "/_emulator/clock": {"POST": _advance},
    "/_emulator/interface": {"POST": _interface},
    "/_emulator/reset": {"POST": _reset},
    "/_emulator/state": {"GET": _state, "PUT": _restore},
}
