"""Which JSON fields a request may hold, and of which type: what the API checks before a model sees it.

The table follows the v1beta reference (GenerateContentRequest and what it contains). Names are accepted in
camelCase and snake_case, as protobuf's JSON mapping does; `normalise` gives camelCase back.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyairtable_devkit.gemini.errors import bad_fields

_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: a scalar kind, "message:NAME", "enum:NAME" or "any"; repeated and map (of string) on top."""

    kind: str
    repeated: bool = False
    mapped: bool = False


def _message(name: str) -> Field:
    return Field(f"message:{name}")


def _messages(name: str) -> Field:
    return Field(f"message:{name}", repeated=True)


STRING, NUMBER, INTEGER, BOOL, BYTES = (Field(kind) for kind in ("string", "number", "integer", "bool", "bytes"))
ANY, STRUCT, STRINGS = Field("any"), Field("struct"), Field("string", repeated=True)

ENUMS: dict[str, tuple[str, ...]] = {
    "FunctionCallingConfig.Mode": ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
    "ThinkingConfig.ThinkingLevel": (
        "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH",
    ),
    "Type": ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"),
    "HarmCategory": (
        "HARM_CATEGORY_UNSPECIFIED", "HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT", "HARM_CATEGORY_DANGEROUS_CONTENT", "HARM_CATEGORY_CIVIC_INTEGRITY",
    ),
    "SafetySetting.HarmBlockThreshold": (
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED", "BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE",
        "BLOCK_ONLY_HIGH",
        "BLOCK_NONE", "OFF",
    ),
}  # fmt: skip

MESSAGES: dict[str, dict[str, Field]] = {
    "GenerateContentRequest": {
        "model": STRING, "contents": _messages("Content"), "systemInstruction": _message("Content"),
        "tools": _messages("Tool"), "toolConfig": _message("ToolConfig"),
        "safetySettings": _messages("SafetySetting"), "generationConfig": _message("GenerationConfig"),
        "cachedContent": STRING, "serviceTier": STRING, "store": BOOL, "labels": Field("string", mapped=True),
    },
    "CountTokensRequest": {
        "model": STRING, "contents": _messages("Content"),
        "generateContentRequest": _message("GenerateContentRequest"),
    },
    "Content": {"role": STRING, "parts": _messages("Part")},
    "Part": {
        "text": STRING, "thought": BOOL, "thoughtSignature": BYTES, "inlineData": _message("Blob"),
        "fileData": _message("FileData"), "functionCall": _message("FunctionCall"),
        "functionResponse": _message("FunctionResponse"), "executableCode": ANY, "codeExecutionResult": ANY,
        "toolCall": ANY, "toolResponse": ANY, "videoMetadata": ANY, "mediaResolution": ANY,
        "partMetadata": STRUCT,
    },
    "Blob": {"mimeType": STRING, "data": BYTES, "displayName": STRING},
    "FileData": {"mimeType": STRING, "fileUri": STRING, "displayName": STRING},
    "FunctionCall": {"id": STRING, "name": STRING, "args": STRUCT},
    "FunctionResponse": {
        "id": STRING, "name": STRING, "response": STRUCT, "parts": Field("any", repeated=True),
        "willContinue": BOOL,
        "scheduling": STRING,
    },
    "Tool": {
        "functionDeclarations": _messages("FunctionDeclaration"), "googleSearch": ANY,
        "googleSearchRetrieval": ANY,
        "codeExecution": ANY, "urlContext": ANY, "computerUse": ANY, "googleMaps": ANY, "fileSearch": ANY,
        "mcpServers": Field("any", repeated=True),
    },
    "FunctionDeclaration": {
        "name": STRING, "description": STRING, "behavior": STRING, "parameters": _message("Schema"),
        "parametersJsonSchema": ANY, "response": _message("Schema"), "responseJsonSchema": ANY,
    },
    "Schema": {
        "type": Field("enum:Type"), "format": STRING, "title": STRING, "description": STRING,
        "nullable": BOOL,
        "enum": STRINGS, "items": _message("Schema"), "maxItems": INTEGER, "minItems": INTEGER,
        "properties": Field("message:Schema", mapped=True), "required": STRINGS, "minProperties": INTEGER,
        "maxProperties": INTEGER, "minLength": INTEGER, "maxLength": INTEGER, "pattern": STRING,
        "example": ANY,
        "anyOf": _messages("Schema"), "propertyOrdering": STRINGS, "default": ANY, "minimum": NUMBER,
        "maximum": NUMBER,
    },
    "ToolConfig": {
        "functionCallingConfig": _message("FunctionCallingConfig"), "retrievalConfig": ANY,
        "includeServerSideToolInvocations": BOOL,
    },
    "FunctionCallingConfig": {
        "mode": Field("enum:FunctionCallingConfig.Mode"), "allowedFunctionNames": STRINGS,
    },
    "SafetySetting": {
        "category": Field("enum:HarmCategory"), "threshold": Field("enum:SafetySetting.HarmBlockThreshold"),
    },
    "GenerationConfig": {
        "stopSequences": STRINGS, "responseMimeType": STRING, "responseSchema": _message("Schema"),
        "responseJsonSchema": ANY, "_responseJsonSchema": ANY, "responseModalities": STRINGS,
        "candidateCount": INTEGER, "maxOutputTokens": INTEGER, "temperature": NUMBER, "topP": NUMBER,
        "topK": NUMBER,
        "seed": INTEGER, "presencePenalty": NUMBER, "frequencyPenalty": NUMBER, "responseLogprobs": BOOL,
        "logprobs": INTEGER, "enableEnhancedCivicAnswers": BOOL, "speechConfig": ANY, "imageConfig": ANY,
        "thinkingConfig": _message("ThinkingConfig"), "mediaResolution": STRING,
        "audioTranscriptionConfig": ANY,
        "continuationToken": STRING,
    },
    "ThinkingConfig": {
        "includeThoughts": BOOL, "thinkingBudget": INTEGER,
        "thinkingLevel": Field("enum:ThinkingConfig.ThinkingLevel"),
    },
}  # fmt: skip

_TYPE_NAMES = {
    "string": "TYPE_STRING", "number": "TYPE_DOUBLE", "integer": "TYPE_INT32", "bool": "TYPE_BOOL",
    "bytes": "TYPE_BYTES", "struct": "type.googleapis.com/google.protobuf.Struct",
}  # fmt: skip


def normalise(body: Any, message: str) -> dict[str, Any]:
    """Check `body` against the message of that name and give it back with camelCase names.

    Raises ApiError 400 naming every unknown field and every value of a wrong type, as the real API does.
    """
    if not isinstance(body, dict):
        raise bad_fields([("", "Invalid JSON payload received. Root element must be a message.")])
    check = _Check()
    cleaned = check.message(body, message, "")
    if check.violations:
        raise bad_fields(check.violations)
    return cleaned


def camel(name: str) -> str:
    """thinking_budget -> thinkingBudget."""
    head, *rest = name.lstrip("_").split("_")
    prefix = "_" if name.startswith("_") else ""
    return prefix + head + "".join(word[:1].upper() + word[1:] for word in rest)


def snake(name: str) -> str:
    """thinkingBudget -> thinking_budget: error paths are written in proto names."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found.group(1).lower(), name)


class _Check:
    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def message(self, value: dict[str, Any], name: str, path: str) -> dict[str, Any]:
        known = MESSAGES[name]
        cleaned: dict[str, Any] = {}
        for key, item in value.items():
            field_name = key if key in known else camel(key)
            if field_name not in known:
                self._unknown(key, path)
            elif item is not None:
                here = f"{path}.{snake(field_name)}" if path else snake(field_name)
                cleaned[field_name] = self._field(item, known[field_name], here)
        return cleaned

    def _unknown(self, key: str, path: str) -> None:
        where = f" at '{path}'" if path else ""
        self.violations.append(
            (path, f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.')
        )

    def _field(self, value: Any, field: Field, path: str) -> Any:
        if field.mapped:
            return self._map(value, field, path)
        if field.repeated:
            # protobuf's JSON parser takes a lone value for a repeated field.
            items = value if isinstance(value, list) else [value]
            return [self._single(item, field.kind, f"{path}[{index}]") for index, item in enumerate(items)]
        if isinstance(value, list) and field.kind != "any":
            name = path.rpartition(".")[2]
            text = f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': "
            self.violations.append((path, text + "Proto field is not repeating, cannot start list."))
            return None
        return self._single(value, field.kind, path)

    def _map(self, value: Any, field: Field, path: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, "Map", value)
        return {
            key: self._single(item, field.kind, f"{path}[{index}].value")
            for index, (key, item) in enumerate(value.items())
        }

    def _single(self, value: Any, kind: str, path: str) -> Any:
        family, _, name = kind.partition(":")
        if family == "message":
            if not isinstance(value, dict):
                return self._wrong(path, f"{_PACKAGE}.{name}", value)
            return self.message(value, name, path)
        if family == "enum":
            if isinstance(value, str) and value.upper() in ENUMS[name]:
                return value.upper()
            return self._wrong(path, f"{_PACKAGE}.{name}", value)
        if not _SCALARS[kind](value):
            return self._wrong(path, _TYPE_NAMES[kind], value)
        return int(value) if kind == "integer" else value

    def _wrong(self, path: str, type_name: str, value: Any) -> None:
        shown = f'"{value}"' if isinstance(value, str) else value
        self.violations.append((path, f"Invalid value at '{path}' ({type_name}), {shown}"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"-?\d{1,10}", value) is not None
    return _is_number(value) and float(value).is_integer()


def _is_base64(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


_SCALARS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_integer,
    "bool": lambda value: isinstance(value, bool),
    "bytes": _is_base64,
    "struct": lambda value: isinstance(value, dict),
    "any": lambda value: True,
}
