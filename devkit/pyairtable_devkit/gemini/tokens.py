"""Token counts: about four characters a token, the rule of thumb of Google's docs."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import orjson

from pyairtable_devkit.gemini.request import GenerateRequest

CHARACTERS_PER_TOKEN = 4
_IMAGE_TOKENS = 258  # Google AI docs, "Understand and count tokens": an image up to 384 px


def text_tokens(text: str) -> int:
    """Tokens of a text; 0 for none."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def part_tokens(part: dict[str, Any]) -> int:
    """Tokens of one part as it stands on the wire; a thought signature costs nothing."""
    if "text" in part:
        return text_tokens(part["text"])
    if "inlineData" in part or "fileData" in part:
        return _IMAGE_TOKENS
    return text_tokens(orjson.dumps({key: part[key] for key in part if key != "thoughtSignature"}).decode())


def content_tokens(content: dict[str, Any]) -> int:
    """Tokens of one content: its parts and one for the role."""
    return 1 + sum(part_tokens(part) for part in content.get("parts") or ())


def prompt_tokens(request: GenerateRequest) -> int:
    """Tokens of the whole request: contents, system instruction and tool declarations."""
    return _head_tokens(request.body) + sum(content_tokens(item) for item in request.body.get("contents") or ())


def _head_tokens(body: dict[str, Any]) -> int:
    system, tools = body.get("systemInstruction"), body.get("tools")
    return (content_tokens(system) if system else 0) + (text_tokens(orjson.dumps(tools).decode()) if tools else 0)


class PrefixCache:
    """Implicit caching: a prefix seen before (system, tools, first contents) is counted as cached.

    As with the real service only prefixes above a minimum count, and the newest content never does.
    """

    def __init__(self, size: int = 4096) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._size = size

    def lookup(self, model: str, request: GenerateRequest, minimum: int) -> int:
        """Tokens of the longest known prefix of at least `minimum` tokens, or 0; remembers this one."""
        *older, newest = self._prefixes(model, request.body)
        cached = max((tokens for digest, tokens in older if digest in self._seen and tokens >= minimum), default=0)
        for digest, _ in (*older, newest):
            self._remember(digest)
        return cached

    def clear(self) -> None:
        """Forget every prefix."""
        self._seen.clear()

    def _prefixes(self, model: str, body: dict[str, Any]) -> list[tuple[bytes, int]]:
        running = hashlib.blake2b(model.encode(), digest_size=16)
        running.update(orjson.dumps([body.get("systemInstruction"), body.get("tools")]))
        tokens = _head_tokens(body)
        found = [(running.digest(), tokens)]
        for content in body.get("contents") or ():
            running.update(orjson.dumps(content))
            tokens += content_tokens(content)
            found.append((running.digest(), tokens))
        return found

    def _remember(self, digest: bytes) -> None:
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        while len(self._seen) > self._size:
            self._seen.popitem(last=False)
