"""The errors a formula's text can cause, and the signal of a value that cannot be computed.

FormulaError (ValueError)
    UnknownFieldNames
"""

from collections.abc import Sequence

INVALID_FORMULA = "Invalid formula. Please check your formula text."


class FormulaError(ValueError):
    """The text is not a formula: syntax, unknown function, wrong number of arguments, too long or too deep."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{INVALID_FORMULA} ({reason})")
        self.reason = reason


class UnknownFieldNames(FormulaError):
    """The formula refers to fields that the table does not have; `names` are as written."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"unknown field names: {', '.join(names)}")
        self.names = list(names)


class Uncomputable(Exception):
    """A part of the formula has no value; becomes `#ERROR!` unless ISERROR catches it.

    A signal inside the evaluator, never seen outside.
    """
