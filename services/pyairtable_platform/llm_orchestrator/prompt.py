"""What the model is sent: the system prompt and as much of the conversation as fits, in whole turns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib import resources
from string import Template

import orjson

from .ports import Content

# Google AI docs (tokens): a token is about four characters of English. JSON and other languages need more tokens, so
# that the bound is a bound on size, not a promise about the count.
CHARACTERS_PER_TOKEN = 4


def system_prompt(*, workspace: str, base_id: str, today: date) -> str:
    """The instructions for one turn. They hold no secret, and nothing is permitted by them."""
    text = resources.files(__package__).joinpath("system_prompt.md").read_text(encoding="utf-8")
    base = f'The user works in the base "{base_id}".' if base_id else "The user works in the workspace's default base."
    return Template(text).substitute(today=today.isoformat(), workspace=workspace, base=base).strip()


def user_content(text: str) -> Content:
    """A message of the user."""
    return {"role": "user", "parts": [{"text": text}]}


def assistant_content(text: str) -> Content:
    """An answer that came without a model's own Content: brought along by the caller."""
    return {"role": "model", "parts": [{"text": text}]}


def trimmed(turns: Sequence[Sequence[Content]], max_tokens: int) -> list[Content]:
    """The newest turns that fit into `max_tokens`, oldest first.

    Turns stay whole: a call without its result, or a signature without its call, is refused by the model.
    """
    kept: list[Sequence[Content]] = []
    left = max_tokens * CHARACTERS_PER_TOKEN
    for turn in reversed(turns):
        left -= sum(len(orjson.dumps(content)) for content in turn)
        if left < 0:
            break
        kept.append(turn)
    return [content for turn in reversed(kept) for content in turn]
