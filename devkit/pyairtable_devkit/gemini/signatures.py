"""Thought signatures: opaque base64 on function-call parts that a client must send back unchanged.

The emulator's are an HMAC over the call, so that it needs no memory to notice one that was lost, altered or
moved to another call. Rules: Google AI docs, "Thought signatures": in the current turn the first function
call of each step must carry its signature; parallel calls carry it on the first part only; earlier turns are
not checked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson

from pyairtable_devkit.gemini.errors import ApiError, invalid
from pyairtable_devkit.gemini.request import Call, GenerateRequest

_SECRET = b"pyairtable emulator, no secret"
_HEAD = b"\x12\x10emulator"

# Documented ways to send history that another model made (Google AI docs: thought signatures, FAQ).
_ACCEPTED_DUMMIES = {"context_engineering_is_the_way_to_go", "skip_thought_signature_validator"}


def sign(call: Call) -> str:
    """The signature of a call, base64."""
    return base64.b64encode(_HEAD + _digest(call.name, call.args)).decode()


def sign_text(text: str) -> str:
    """The signature on the last part of a text answer; sending it back is recommended, not required."""
    return base64.b64encode(_HEAD + hashlib.sha256(text.encode()).digest()).decode()


def check_signatures(request: GenerateRequest) -> None:
    """Raise ApiError 400 when a call of the current turn comes back without its signature or with another."""
    for index in range(request.turn_start, len(request.contents)):
        calls = request.contents[index].calls
        if request.contents[index].role != "model" or not calls:
            continue
        if not calls[0].signature and calls[0].call:
            raise _missing(calls[0].call.name, index + 1)
        for part in calls:
            if part.call and part.signature and not _is_valid(part.signature, part.call):
                raise invalid("Corrupted thought signature.")


def _is_valid(signature: str, call: Call) -> bool:
    raw = _decode(signature)
    if signature in _ACCEPTED_DUMMIES or raw.decode("latin-1") in _ACCEPTED_DUMMIES:
        return True
    return hmac.compare_digest(raw, _HEAD + _digest(call.name, call.args))


def _decode(signature: str) -> bytes:
    standard = signature.replace("-", "+").replace("_", "/")  # clients may use the URL-safe alphabet
    return base64.b64decode(standard + "=" * (-len(standard) % 4))


def _digest(name: str, args: dict[str, Any]) -> bytes:
    canonical = orjson.dumps([name, _plain_numbers(args)], option=orjson.OPT_SORT_KEYS)
    return hmac.digest(_SECRET, canonical, "sha256")


def _plain_numbers(value: Any) -> Any:
    """3.0 as 3: a client that keeps args in a protobuf Struct sends every number back as a float."""
    if isinstance(value, dict):
        return {key: _plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _missing(name: str, position: int) -> ApiError:
    return invalid(
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
        "work "
        "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
        "function "
        f"call `default_api:{name}` , position {position}. Please refer to "
        "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )
