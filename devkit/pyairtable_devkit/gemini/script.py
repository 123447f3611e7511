"""Scripted answers: what the emulator says when a test must not depend on the planner.

The format stands in docs/emulator-gemini.md. A script is a list of turns; the first turn that matches the
request and still has a reply gives the answer, and when none does the planner answers (or an error, with
`otherwise: error`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pyairtable_devkit.gemini.errors import ApiError, of_status
from pyairtable_devkit.gemini.reply import BLOCK_REASONS, FINISH_REASONS, Delivery, Reply
from pyairtable_devkit.gemini.request import Call, GenerateRequest

_MATCH_KEYS = {"user", "system", "model", "position", "step"}
_TURN_KEYS = {"name", "match", "replies", "repeat"}
_REPLY_KEYS = {
    "text", "repeat_text", "thoughts", "calls", "finish", "finish_message", "block", "error", "delay",
    "chunk_delay", "chunks", "cut_after", "usage", "planner",
}  # fmt: skip
_KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,), "thoughts": (str,), "finish_message": (str,), "repeat_text": (int,), "calls": (list,),
    "chunks": (list,), "delay": (int, float), "chunk_delay": (int, float), "cut_after": (int,),
}  # fmt: skip
_USAGE_KEYS = {"prompt", "candidates", "thoughts", "cached"}


class ScriptError(ValueError):
    """A script that cannot be understood; the message names the turn and the key."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """One scripted answer: a reply, an error, or (both None) the planner's own, and how it travels."""

    reply: Reply | None
    error: ApiError | None
    delivery: Delivery
    obey_injection: bool = False


@dataclass(slots=True)
class Turn:
    """Requests to look for and the answers to give them, one after another."""

    name: str
    match: dict[str, Any]
    raw_replies: list[dict[str, Any]]
    repeat: bool
    used: int = 0

    def matches(self, request: GenerateRequest, model: str, position: int) -> bool:
        """Whether this turn is for that request, the `position`-th since the script was set (from 1)."""
        texts = {"user": request.user_text, "system": request.system, "model": model}
        counts = {"position": position, "step": request.step}
        return all(
            counts[key] == wanted if key in counts else re.search(wanted, texts[key], re.IGNORECASE | re.DOTALL)
            for key, wanted in self.match.items()
        )

    def take(self, model: str) -> Scripted | None:
        """The next answer, or None when all are given."""
        if self.used >= len(self.raw_replies) and not self.repeat:
            return None
        raw = self.raw_replies[min(self.used, len(self.raw_replies) - 1)]
        self.used += 1
        return _scripted(raw, model)

    def fresh(self) -> Turn:
        """The same turn with no reply used."""
        return Turn(self.name, self.match, self.raw_replies, self.repeat)


@dataclass(slots=True)
class Script:
    """All turns, and what happens when none matches: "planner" or "error"."""

    turns: list[Turn] = field(default_factory=list)
    otherwise: str = "planner"
    position: int = 0

    def answer(self, request: GenerateRequest, model: str) -> Scripted | None:
        """The scripted answer for a request, or None when the planner is to answer."""
        self.position += 1
        for turn in self.turns:
            if turn.matches(request, model, self.position):
                scripted = turn.take(model)
                if scripted is not None:
                    return scripted
        if self.otherwise == "error":
            text = f"The emulator's script has no reply left for: {request.user_text[:200]}"
            return Scripted(None, ApiError(500, text), Delivery())
        return None

    def as_dict(self) -> dict[str, Any]:
        """The script as JSON, with how many replies of each turn were used."""
        turns = [
            {"name": turn.name, "match": turn.match, "replies": len(turn.raw_replies), "used": turn.used}
            for turn in self.turns
        ]
        return {"turns": turns, "otherwise": self.otherwise, "position": self.position}


def parse_script(text: str | bytes) -> Script:
    """A script from YAML (or JSON) text; raises ScriptError."""
    try:
        return read_script(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ScriptError(f"the script is not YAML: {error}") from error


def read_script(data: Any) -> Script:
    """A script from its parsed form: {"turns": [...], "otherwise": ...} or the list of turns alone."""
    data = {"turns": data} if isinstance(data, list) else data
    if not isinstance(data, dict) or not isinstance(data.get("turns"), list):
        raise ScriptError("a script is a mapping with a list under 'turns'")
    _only(data, {"turns", "otherwise"}, "the script")
    otherwise = data.get("otherwise", "planner")
    if otherwise not in ("planner", "error"):
        raise ScriptError(f"otherwise: {otherwise!r} is neither 'planner' nor 'error'")
    return Script([_turn(item, number) for number, item in enumerate(data["turns"], 1)], otherwise)


def _turn(raw: Any, number: int) -> Turn:
    where = f"turn {number}"
    if not isinstance(raw, dict):
        raise ScriptError(f"{where} is not a mapping")
    inline = {key: value for key, value in raw.items() if key in _REPLY_KEYS}
    _only(raw, _TURN_KEYS | set(inline), where)
    if inline and "replies" in raw:
        raise ScriptError(f"{where} has 'replies' and {min(inline)!r}; a turn has either replies or is one itself")
    replies = raw.get("replies", [inline] if inline else None)
    if not isinstance(replies, list) or not replies:
        raise ScriptError(f"{where} has no reply")
    for index, reply in enumerate(replies, 1):
        _check_reply(reply, f"{where}, reply {index}")
    return Turn(raw.get("name", where), _match(raw.get("match") or {}, where), replies, bool(raw.get("repeat")))


def _match(raw: Any, where: str) -> dict[str, Any]:
    _only(raw, _MATCH_KEYS, f"{where}, match")
    for key in ("user", "system", "model"):
        try:
            re.compile(raw.get(key, ""))
        except (re.error, TypeError) as error:
            raise ScriptError(f"{where}, match, {key} is not a regular expression: {error}") from error
    return dict(raw)


def _check_reply(raw: Any, where: str) -> None:
    _only(raw, _REPLY_KEYS, where)
    _only(raw.get("usage") or {}, _USAGE_KEYS, f"{where}, usage")
    for key, kinds in _KINDS.items():
        if key in raw and (isinstance(raw[key], bool) or not isinstance(raw[key], kinds)):
            raise ScriptError(f"{where}: {key} cannot be {raw[key]!r}")
    if raw.get("finish", "STOP") not in FINISH_REASONS:
        raise ScriptError(f"{where}: finish {raw['finish']!r} is not one of {', '.join(FINISH_REASONS)}")
    if raw.get("block", "SAFETY") not in BLOCK_REASONS:
        raise ScriptError(f"{where}: block {raw['block']!r} is not one of {', '.join(BLOCK_REASONS)}")
    if raw.get("planner", True) not in (True, "obey_injection"):
        raise ScriptError(f"{where}: planner is either true or obey_injection")
    for call in raw.get("calls") or ():
        _only(call, {"name", "args", "id"}, f"{where}, calls")
        if not isinstance(call.get("name"), str):
            raise ScriptError(f"{where}: a call has no name")
    if "error" in raw:
        _only(raw["error"], {"code", "message", "retry_seconds"}, f"{where}, error")
        if not isinstance(raw["error"].get("code"), int):
            raise ScriptError(f"{where}: an error has a code, such as 503")


def _only(raw: Any, allowed: set[str], where: str) -> None:
    if not isinstance(raw, Mapping):
        raise ScriptError(f"{where} is not a mapping")
    unknown = sorted(str(key) for key in raw if key not in allowed)
    if unknown:
        raise ScriptError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(allowed))}")


def _scripted(raw: dict[str, Any], model: str) -> Scripted:
    delivery = Delivery(
        delay=float(raw.get("delay", 0)),
        chunk_delay=float(raw.get("chunk_delay", 0)),
        cut_after=raw.get("cut_after"),
        raw_chunks=tuple(raw.get("chunks") or ()),
    )
    if "error" in raw:
        asked = raw["error"]
        error = of_status(
            asked["code"],
            model=model,
            message=asked.get("message", ""),
            retry_seconds=asked.get("retry_seconds"),
        )
        return Scripted(None, error, delivery)
    if "planner" in raw:
        return Scripted(None, None, delivery, raw["planner"] == "obey_injection")
    reply = Reply(
        text=str(raw.get("text", "")) * int(raw.get("repeat_text", 1)),
        calls=tuple(Call(call["name"], call.get("args") or {}, call.get("id", "")) for call in raw.get("calls") or ()),
        thoughts=raw.get("thoughts", ""),
        finish=raw.get("finish", "STOP"),
        finish_message=raw.get("finish_message", ""),
        block=raw.get("block", ""),
        usage=raw.get("usage") or {},
    )
    return Scripted(reply, None, delivery)
