"""From a reply to GenerateContentResponse JSON, whole or in chunks, with the usage a model reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyairtable_devkit.gemini.models import Model
from pyairtable_devkit.gemini.reply import Reply
from pyairtable_devkit.gemini.request import Call, GenerateRequest
from pyairtable_devkit.gemini.signatures import sign, sign_text
from pyairtable_devkit.gemini.tokens import CHARACTERS_PER_TOKEN, part_tokens, prompt_tokens, text_tokens

_THINKING_TOKENS = {"MINIMAL": 0, "LOW": 32, "MEDIUM": 96, "HIGH": 256}
_DYNAMIC_THINKING = 96


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer ready to be sent: `parts` in wire form, `text` parts still whole."""

    parts: list[dict[str, Any]]
    finish: str
    finish_message: str
    block: str
    usage: dict[str, int]
    thoughts: int
    model: str
    response_id: str

    @property
    def output_tokens(self) -> int:
        """Tokens that take time to generate."""
        return self.usage.get("candidatesTokenCount", 0) + self.thoughts


def generate(reply: Reply, request: GenerateRequest, model: Model, *, cached: int, response_id: str) -> Generation:
    """Put a reply into wire form: token limit, stop sequences, signatures and usage applied."""
    thoughts = reply.usage.get("thoughts", thinking_tokens(request, model))
    text, finish = _limit_text(reply, request.config, thoughts)
    parts = _parts(reply, text, request, model, thoughts)
    prompt = reply.usage.get("prompt", prompt_tokens(request))
    candidates = sum(part_tokens(part) for part in parts if not part.get("thought"))
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": reply.usage.get("candidates", candidates),
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": reply.usage.get("cached", min(cached, prompt)),
    }
    if reply.block:
        usage = {"promptTokenCount": prompt}
    return Generation(parts, finish, reply.finish_message, reply.block, usage, thoughts, model.name, response_id)


def whole(generation: Generation) -> dict[str, Any]:
    """The single response of generateContent."""
    return _response(generation, generation.parts, last=True)


def chunks(generation: Generation, chunk_tokens: int) -> list[dict[str, Any]]:
    """The responses of streamGenerateContent: text in pieces, each call whole, the finish reason last.

    Counts grow from chunk to chunk, as the real stream reports them; the last chunk's are the final ones.
    """
    pieces = _pieces(generation.parts, chunk_tokens * CHARACTERS_PER_TOKEN) or [{}]
    responses = []
    for index, piece in enumerate(pieces):
        parts = [piece] if piece else []
        responses.append(_response(generation, parts, last=index == len(pieces) - 1, sent=pieces[: index + 1]))
    return responses


def thinking_tokens(request: GenerateRequest, model: Model) -> int:
    """How many tokens this request makes the model think."""
    budget = request.thinking.get("thinkingBudget")
    level = request.thinking.get("thinkingLevel") or model.default_level
    usual = _THINKING_TOKENS.get(level, _DYNAMIC_THINKING if model.thinks_by_default else 0)
    if budget is None:
        return usual
    return _DYNAMIC_THINKING if budget == -1 else min(budget, _DYNAMIC_THINKING)


def _limit_text(reply: Reply, config: dict[str, Any], thoughts: int) -> tuple[str, str]:
    """The text after stop sequences and maxOutputTokens (less thinking), and the finish reason."""
    text, finish = reply.text, reply.finish
    stops = [text.find(stop) for stop in config.get("stopSequences") or () if stop and stop in text]
    if stops:
        text = text[: min(stops)]
    limit = config.get("maxOutputTokens")
    if limit is not None and thoughts + text_tokens(text) > limit:
        text, finish = text[: max(0, limit - thoughts) * CHARACTERS_PER_TOKEN], "MAX_TOKENS"
    return text, finish


def _parts(reply: Reply, text: str, request: GenerateRequest, model: Model, thoughts: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if thoughts and reply.thoughts and request.thinking.get("includeThoughts"):
        parts.append({"text": reply.thoughts, "thought": True})
    if text:
        parts.append({"text": text})
        if model.needs_signatures and not reply.calls:
            parts[-1]["thoughtSignature"] = sign_text(text)
    for index, call in enumerate(reply.calls):
        parts.append({"functionCall": _wire_call(call, model)})
        # Parallel calls share one signature, on the first (Google AI docs: thought signatures).
        if index == 0 and (model.needs_signatures or thoughts):
            parts[-1]["thoughtSignature"] = sign(call)
    return parts


def _wire_call(call: Call, model: Model) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": call.name, "args": call.args}
    return {**shown, "id": call.id} if model.gives_call_ids and call.id else shown


def _pieces(parts: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    pieces: list[dict[str, Any]] = []
    for part in parts:
        text = part.get("text", "")
        if len(text) <= size and not ("thoughtSignature" in part and text):
            pieces.append(part)
            continue
        thought = {"thought": True} if part.get("thought") else {}
        pieces += [{"text": text[start : start + size], **thought} for start in range(0, len(text), size)]
        if "thoughtSignature" in part:
            # The signature of a streamed text comes in a last part whose text is empty.
            pieces.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    return pieces


def _response(
    generation: Generation,
    parts: list[dict[str, Any]],
    *,
    last: bool,
    sent: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    response: dict[str, Any] = {}
    if generation.block:
        response["promptFeedback"] = {
            "blockReason": generation.block,
            "safetyRatings": [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}],
        }
    else:
        response["candidates"] = [_candidate(generation, parts, last)]
    response["usageMetadata"] = _usage(generation, None if last else sent)
    response["modelVersion"] = generation.model
    response["responseId"] = generation.response_id
    return response


def _candidate(generation: Generation, parts: list[dict[str, Any]], last: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    candidate: dict[str, Any] = {"content": content, "index": 0}
    if not last:
        return candidate
    candidate["finishReason"] = generation.finish
    if generation.finish_message:
        candidate["finishMessage"] = generation.finish_message
    if generation.finish == "SAFETY":
        candidate["safetyRatings"] = [
            {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        ]
    return candidate


def _usage(generation: Generation, sent: list[dict[str, Any]] | None) -> dict[str, Any]:
    counts = dict(generation.usage)
    if sent is not None:
        counts["candidatesTokenCount"] = sum(part_tokens(part) for part in sent if not part.get("thought"))
    usage: dict[str, Any] = {name: count for name, count in counts.items() if count}
    usage["totalTokenCount"] = sum(
        counts.get(name, 0) for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    )
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": counts["promptTokenCount"]}]
    return usage
