"""What a model server refuses once the JSON is well formed: turn order, tools, knobs and limits."""

from __future__ import annotations

import re

from pyairtable_devkit.gemini.errors import ApiError, invalid
from pyairtable_devkit.gemini.models import Model
from pyairtable_devkit.gemini.request import Content, GenerateRequest
from pyairtable_devkit.gemini.signatures import check_signatures

_ROLES = {"user", "model", "function"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_DATA = (
    "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode",
    "codeExecutionResult",
    "toolCall", "toolResponse",
)  # fmt: skip


def check_request(request: GenerateRequest, model: Model, *, signatures: bool = True) -> None:
    """Raise the ApiError a real model of that name would answer; return when it would generate."""
    check_contents(request.contents)
    _check_turns(request.contents)
    _check_tools(request)
    _check_thinking(request, model)
    _check_config(request, model)
    if request.body.get("cachedContent"):
        raise ApiError(403, "CachedContent not found (or permission denied)")
    if signatures and model.needs_signatures:
        check_signatures(request)


def check_contents(contents: tuple[Content, ...]) -> None:
    """Roles and parts: also what countTokens checks."""
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    for index, content in enumerate(contents):
        where = f"* GenerateContentRequest.contents[{index}].parts"
        if content.role not in _ROLES:
            raise invalid("Please use a valid role: user, model.")
        if not content.parts:
            raise invalid(f"{where}: contents.parts must not be empty.\n")
        for number, part in enumerate(content.parts):
            if not any(name in part.raw for name in _DATA):
                raise invalid(f"{where}[{number}].data: required oneof field 'data' must have one initialized field\n")


def _check_turns(contents: tuple[Content, ...]) -> None:
    previous: Content | None = None
    for content in contents:
        if content.calls and (previous is None or previous.role == "model"):
            raise invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a "
                "function "
                "response turn."
            )
        if content.results and not (previous and previous.calls):
            raise invalid("Please ensure that function response turn comes immediately after a function call turn.")
        if previous and previous.calls:
            _check_answers(previous, content)
        previous = content
    if previous and previous.calls:
        raise _unequal()


def _check_answers(asked: Content, answered: Content) -> None:
    if len(asked.calls) != len(answered.results):
        raise _unequal()
    ids = {part.call.id for part in asked.calls if part.call and part.call.id}
    names = {part.call.name for part in asked.calls if part.call}
    for result in answered.results:
        if result.name not in names:
            raise invalid(
                f"Please ensure that the function response name `{result.name}` is one of the function "
                f"calls of the "
                "function call turn."
            )
        if result.id and ids and result.id not in ids:
            raise invalid(f"Function response id `{result.id}` does not belong to the function call turn.")


def _unequal() -> ApiError:
    return invalid(
        "Please ensure that the number of function response parts is equal to the number of function call "
        "parts of "
        "the function call turn."
    )


def _check_tools(request: GenerateRequest) -> None:
    seen: set[str] = set()
    for index, tool in enumerate(request.tools):
        if not _NAME.fullmatch(tool.name):
            raise invalid(
                f"* GenerateContentRequest.tools[0].function_declarations[{index}].name: Invalid function "
                f"name. Must "
                "start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores "
                "(_), dots (.), "
                "colons (:), or dashes (-), with a maximum length of 128.\n"
            )
        if tool.name in seen:
            raise invalid(f"Duplicate function declaration found: {tool.name}")
        seen.add(tool.name)
    if request.allowed_names and request.mode not in ("ANY", "VALIDATED"):
        raise invalid(
            "Function calling config is set without mode ANY or VALIDATED: allowed_function_names should "
            "only be set "
            "when the mode is ANY or VALIDATED."
        )
    if request.mode == "ANY" and not request.tools:
        raise invalid("Function calling mode is ANY but no function declarations were provided.")
    for name in request.allowed_names:
        if name not in seen:
            raise invalid(f"Allowed function name `{name}` is not one of the declared functions.")


def _check_thinking(request: GenerateRequest, model: Model) -> None:
    budget, level = request.thinking.get("thinkingBudget"), request.thinking.get("thinkingLevel")
    if level == "THINKING_LEVEL_UNSPECIFIED":
        level = None
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if level is not None and not model.levels:
        raise invalid("Thinking level is not supported for this model.")
    if level is not None and level not in model.levels:
        raise invalid(
            f"Thinking level {level} is not supported for this model. Please retry with other thinking level."
        )
    if budget == 0 and not model.can_stop_thinking:
        raise invalid("Budget 0 is invalid. This model only works in thinking mode.")
    low, high = model.budget
    if budget not in (None, 0, -1) and not low <= budget <= high:
        raise invalid(f"The thinking budget {budget} is invalid. Please choose a value between {low} and {high}.")


def _check_config(request: GenerateRequest, model: Model) -> None:
    where = "* GenerateContentRequest.generation_config."
    config = request.config
    if not 0 <= config.get("temperature", 1) <= 2:
        raise invalid(f"{where}temperature: temperature must be in the range [0.0, 2.0].\n")
    if not 0 <= config.get("topP", 1) <= 1:
        raise invalid(f"{where}top_p: top_p must be in the range [0.0, 1.0].\n")
    if config.get("maxOutputTokens", 1) < 1:
        raise invalid(f"{where}max_output_tokens: max_output_tokens must be positive.\n")
    if config.get("candidateCount", 1) != 1:
        raise invalid("Multiple candidates is not enabled for this model")
    if len(config.get("stopSequences") or ()) > 5:
        raise invalid(f"{where}stop_sequences: must have at most 5 stop sequences.\n")
    mime = config.get("responseMimeType", "text/plain")
    if mime not in ("text/plain", "application/json", "text/x.enum"):
        raise invalid(f"{where}response_mime_type: allowed mimetypes are `text/plain`, `application/json`, ...\n")
    if mime != "text/plain" and request.tools and not model.levels:
        raise invalid(f"Function calling with a response mime type: '{mime}' is unsupported")
