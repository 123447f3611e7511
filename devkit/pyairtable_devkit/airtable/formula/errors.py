"""The errors a formula's text can cause, and the signal of a value that cannot be computed.

FormulaError (ValueError)
    UnknownFieldNames
"""

from collections.abc import Sequence

INVALID_FORMULA = "Invalid formula. Please check your formula text."


class FormulaError(ValueError):
    """The text is not a formula: syntax, unknown function, wrong number of arguments, too long or too deep.

    The message is Airtable's, which does not say what is wrong; `reason` does.
    """

    def __init__(self, reason: str, message: str = INVALID_FORMULA) -> None:
        super().__init__(message)
        self.reason = reason


class UnknownFieldNames(FormulaError):
    """The formula refers to fields that the table does not have; `names` are as written.

    Airtable's message shows them in lower case (pyairtable#50).
    """

    def __init__(self, names: Sequence[str]) -> None:
        listed = ", ".join(names)
        super().__init__(f"unknown field names: {listed}", f"Unknown field names: {listed.lower()}")
        self.names = list(names)


class Uncomputable(Exception):
    """A part of the formula has no value; becomes `#ERROR!` unless ISERROR catches it.

    A signal inside the evaluator, never seen outside.
    """
