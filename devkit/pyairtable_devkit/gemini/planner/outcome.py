"""How a recipe ends other than with an answer: it needs tools, lacks something, or a tool failed."""

from __future__ import annotations

from collections.abc import Sequence

from pyairtable_devkit.gemini.request import Call


class Outcome(Exception):
    """Base of what a recipe may raise; `text` is what the user reads."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class NeedCalls(Outcome):
    """The conversation does not hold these results yet: call the tools, all in one turn."""

    def __init__(self, calls: Sequence[Call]) -> None:
        super().__init__("I need " + ", ".join(call.name for call in calls) + ".")
        self.calls = tuple(calls)


class AskUser(Outcome):
    """Something is missing or ambiguous; the text is a question."""


class CannotDo(Outcome):
    """No declared tool can do what is asked."""


class ToolFailed(Outcome):
    """A tool answered with an error."""

    def __init__(self, call: Call, message: str) -> None:
        super().__init__(
            f"I could not finish this: the tool `{call.name}` answered with an error: {message}. "
            "I will not guess the data."
        )
