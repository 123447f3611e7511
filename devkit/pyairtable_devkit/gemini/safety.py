"""Blocked prompts and answers, on demand: two phrases stand for what a real safety filter would stop."""

from __future__ import annotations

from pyairtable_devkit.gemini.reply import Reply
from pyairtable_devkit.gemini.request import GenerateRequest

UNSAFE_PROMPT = "EMULATOR-UNSAFE-PROMPT"
UNSAFE_ANSWER = "EMULATOR-UNSAFE-ANSWER"
_SWITCHED_OFF = {"BLOCK_NONE", "OFF"}


def filtered(request: GenerateRequest) -> Reply | None:
    """The reply of a filter that steps in, or None.

    The phrase UNSAFE_PROMPT blocks the prompt (promptFeedback, no candidate), UNSAFE_ANSWER the answer
    (finishReason SAFETY), unless HARM_CATEGORY_DANGEROUS_CONTENT is set to BLOCK_NONE or OFF.
    """
    if request.safety.get("HARM_CATEGORY_DANGEROUS_CONTENT") in _SWITCHED_OFF:
        return None
    if UNSAFE_PROMPT in request.user_text:
        return Reply(block="SAFETY")
    if UNSAFE_ANSWER in request.user_text:
        return Reply(finish="SAFETY")
    return None
