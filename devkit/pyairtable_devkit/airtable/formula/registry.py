"""How a function of the language is declared: its name, its parameters and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Literal, TypeAlias, TypeVar, cast

from pyairtable_devkit.airtable.formula.errors import FormulaError
from pyairtable_devkit.airtable.formula.nodes import FieldReference, Node
from pyairtable_devkit.airtable.formula.values import Internal

Kind: TypeAlias = Literal["text", "number", "date", "any", "lazy", "field"]
"""What a parameter receives: a str, a float, a moment in UTC, any value, an unevaluated argument, a field's key."""

ResultType: TypeAlias = Literal["text", "number", "date", "dateTime", "checkbox", "list"]

Result: TypeAlias = ResultType | Literal["argument"]
"""`argument`: the type of the arguments it chooses from (IF, SWITCH, MAX, MIN)."""

Implementation: TypeAlias = Callable[..., Internal]
AnyImplementation = TypeVar("AnyImplementation", bound=Implementation)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language."""

    name: str
    kinds: tuple[Kind, ...]
    required: int
    rest: Kind | None
    """Kind of any number of further arguments."""
    result: Result
    needs_context: bool
    implementation: Implementation

    def check_arguments(self, arguments: Sequence[Node]) -> None:
        """Raises FormulaError when number or form of the arguments is wrong."""
        count = len(arguments)
        if count < self.required or (self.rest is None and count > len(self.kinds)):
            raise FormulaError(f"{self.name} does not take {count} argument{'' if count == 1 else 's'}")
        for kind, argument in zip(self.argument_kinds(count), arguments, strict=True):
            if kind == "field" and not isinstance(argument, FieldReference):
                raise FormulaError(f"{self.name} takes fields only")

    def argument_kinds(self, count: int) -> list[Kind]:
        """The kind of each of `count` arguments."""
        kinds = chain(self.kinds, repeat(self.rest) if self.rest else ())
        return list(islice(kinds, count))


FUNCTIONS: dict[str, Function] = {}


def function(
    name: str, *parameters: str, result: Result, context: bool = False
) -> Callable[[AnyImplementation], AnyImplementation]:
    """Declare a function: parameters are kinds, with `?` when optional and `*` for any number of further ones."""
    rest = [cast(Kind, parameter[:-1]) for parameter in parameters if parameter.endswith("*")]
    fixed = [parameter for parameter in parameters if not parameter.endswith("*")]

    def register(implementation: AnyImplementation) -> AnyImplementation:
        FUNCTIONS[name] = Function(
            name=name,
            kinds=tuple(cast(Kind, parameter.rstrip("?")) for parameter in fixed),
            required=sum(not parameter.endswith("?") for parameter in fixed),
            rest=rest[0] if rest else None,
            result=result,
            needs_context=context,
            implementation=implementation,
        )
        return implementation

    return register
