"""What the user wants now, read with what was said before: answers to our questions, and "and per employee?"."""

from __future__ import annotations

import re

from pyairtable_devkit.gemini.planner.intents import recipe_for
from pyairtable_devkit.gemini.planner.words import plain_request, quoted
from pyairtable_devkit.gemini.request import GenerateRequest

_THEN = re.compile(r"(?:[,;.]\s*|\s+)(?:and\s+)?then[,\s]+|;\s+", re.IGNORECASE)
_AND_PER = re.compile(r"^(?:and|what about|how about)\s+(?:per|by|for each)\s+(?P<what>[\w ]+)\??$", re.IGNORECASE)
_DROP = re.compile(r"(?:leave|drop|skip|forget|ignore|without|nothing|none|no)\b", re.IGNORECASE)
_GROUP = re.compile(r"\b(?:per|by|for each|on each|for every|each|every)\s+[a-z]\w*", re.IGNORECASE)


def wanted(request: GenerateRequest) -> list[str]:
    """The requests in what the user last said, in order."""
    text = _with_context(request)
    masked, quotes = text, quoted(text)
    for index, part in enumerate(quotes):
        masked = masked.replace(part, f"⟦{index}⟧", 1)
    parts = [part for part in _THEN.split(masked) if part.strip()]
    for index, part in enumerate(quotes):
        parts = [piece.replace(f"⟦{index}⟧", part) for piece in parts]
    return [plain_request(part) or part for part in parts]


def _with_context(request: GenerateRequest) -> str:
    said = request.user_text.strip()
    asked_back, before = _previous(request)
    per = _AND_PER.match(said)
    if per and before:
        group = f"per {per['what']}"
        return _GROUP.sub(group, before, count=1) if _GROUP.search(before) else f"{before.rstrip('?. ')} {group}?"
    if asked_back.rstrip().endswith(("?", ".")) and "?" in asked_back and before and _is_answer(said):
        return _answered(before, asked_back, said)
    return said


def _previous(request: GenerateRequest) -> tuple[str, str]:
    """The model's last text before this turn, and what the user had said to it."""
    model_text = ""
    for content in reversed(request.contents[: request.turn_start]):
        if content.role == "model" and content.text and not model_text:
            model_text = content.text
        elif content.role != "model" and content.text:
            return model_text, content.text.strip()
    return model_text, ""


def _is_answer(said: str) -> bool:
    return len(said.split()) <= 8 and recipe_for(plain_request(said)) is None


def _answered(before: str, question: str, said: str) -> str:
    """The earlier request with the answer put where it was missing."""
    answer, request = said.strip().rstrip("."), before.rstrip(" .?!")
    if "Which table" in question:
        return f"{request} in the {answer} table"
    if question.endswith("be called?"):
        return f"{request} named " + (answer if quoted(answer) else f"'{answer}'")
    if "Which one should it be" in question:
        return re.sub(r"\b(?:to|as)\s+(?:'[^']*'|\S+)$", f"to {answer}", request)
    left = re.search(r"what to do with '(?P<words>.+?)', so", question)
    if left and left["words"] in request:
        return _instead(request, left["words"], answer)
    doubtful = re.search(r"(?:named|fit) '(?P<name>.+?)'", question)
    if doubtful and doubtful["name"] in request:
        return request.replace(doubtful["name"], answer.strip("'\""))
    return f"{request} {answer}"


def _instead(request: str, words: str, answer: str) -> str:
    """The request with words that were not understood replaced by the answer, or left out."""
    if _DROP.match(answer):
        return re.sub(rf"(?:,?\s+(?:with|and))?\s*{re.escape(words)}", "", request, count=1)
    return request.replace(words, answer, 1)
