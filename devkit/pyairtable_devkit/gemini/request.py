"""A request as typed values, read from the normalised JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A function call, as the model made it or is about to make it."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What the client's tool gave back."""

    name: str
    response: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: exactly one of text, call, result is set for what the planner reads; `raw` keeps the rest."""

    raw: dict[str, Any]
    text: str | None = None
    thought: bool = False
    signature: str = ""
    call: Call | None = None
    result: CallResult | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """One turn of the conversation; `role` is "user", "model" or "function"."""

    role: str
    parts: tuple[Part, ...]

    @property
    def calls(self) -> tuple[Part, ...]:
        """The parts that are function calls."""
        return tuple(part for part in self.parts if part.call)

    @property
    def results(self) -> tuple[CallResult, ...]:
        """The function responses in this turn."""
        return tuple(part.result for part in self.parts if part.result)

    @property
    def text(self) -> str:
        """Its text without thoughts."""
        return "".join(part.text for part in self.parts if part.text and not part.thought)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declared function; `parameters` is its JSON schema with lower-case type names ({} for none)."""

    name: str
    description: str
    parameters: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        """Its arguments: name to schema."""
        found = self.parameters.get("properties")
        return found if isinstance(found, dict) else {}

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the arguments that must be given."""
        return tuple(self.parameters.get("required") or ())


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """All that `generateContent` was asked."""

    contents: tuple[Content, ...]
    system: str
    tools: tuple[Declaration, ...]
    mode: str
    allowed_names: tuple[str, ...]
    config: dict[str, Any]
    safety: dict[str, str]
    body: dict[str, Any]

    @property
    def thinking(self) -> dict[str, Any]:
        """generationConfig.thinkingConfig, {} when absent."""
        found: dict[str, Any] = self.config.get("thinkingConfig") or {}
        return found

    @property
    def turn_start(self) -> int:
        """Index of the content that opened the current turn: the last user content with text, or 0."""
        for index in range(len(self.contents) - 1, -1, -1):
            content = self.contents[index]
            if content.role != "model" and content.text:
                return index
        return 0

    @property
    def user_text(self) -> str:
        """What the user last said."""
        return self.contents[self.turn_start].text if self.contents else ""

    @property
    def step(self) -> int:
        """How many model turns followed the user's message: 0 at first, 1 after the first tool results."""
        return sum(1 for content in self.contents[self.turn_start :] if content.role == "model")


def read_request(body: dict[str, Any]) -> GenerateRequest:
    """Read a normalised GenerateContentRequest body."""
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode = calling.get("mode", "AUTO")
    system = body.get("systemInstruction")
    return GenerateRequest(
        contents=tuple(_content(item) for item in body.get("contents") or ()),
        system=_content(system).text if system else "",
        tools=tuple(_declaration(item) for item in declarations(body)),
        mode="AUTO" if mode == "MODE_UNSPECIFIED" else mode,
        allowed_names=tuple(calling.get("allowedFunctionNames") or ()),
        config=body.get("generationConfig") or {},
        safety={item.get("category", ""): item.get("threshold", "") for item in body.get("safetySettings") or ()},
        body=body,
    )


def declarations(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every function declaration of the body, in order."""
    return [item for tool in body.get("tools") or () for item in tool.get("functionDeclarations") or ()]


def _content(raw: dict[str, Any]) -> Content:
    return Content(role=raw.get("role") or "user", parts=tuple(_part(item) for item in raw.get("parts") or ()))


def _part(raw: dict[str, Any]) -> Part:
    call, result = raw.get("functionCall"), raw.get("functionResponse")
    return Part(
        raw=raw,
        text=raw.get("text"),
        thought=bool(raw.get("thought")),
        signature=raw.get("thoughtSignature") or "",
        call=Call(call.get("name", ""), call.get("args") or {}, call.get("id", "")) if call is not None else None,
        result=CallResult(result.get("name", ""), result.get("response") or {}, result.get("id", ""))
        if result is not None
        else None,
    )


def _declaration(raw: dict[str, Any]) -> Declaration:
    schema = raw.get("parametersJsonSchema") or raw.get("parameters") or {}
    return Declaration(raw.get("name", ""), raw.get("description", ""), _lower_types(schema))


def _lower_types(schema: Any) -> Any:
    """OpenAPI's upper-case type names as JSON schema's, so that the planner knows one form."""
    if isinstance(schema, list):
        return [_lower_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    lowered = {key: _lower_types(value) for key, value in schema.items()}
    if isinstance(lowered.get("type"), str):
        lowered["type"] = lowered["type"].lower()
    return lowered
