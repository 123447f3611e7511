"""HTTP bindings of RPCs, read from the descriptors of the contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes

from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor

from pyairtable_platform.common.errors import InvalidInput

_VERBS = ("get", "put", "post", "delete", "patch")
_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Binding:
    """One HTTP route of one RPC: `GET /bases/{base_id}/schema` of GetBaseSchema."""

    method: MethodDescriptor
    verb: str  # upper case
    template: str
    body: str  # "" none, "*" the whole message, else the name of a message field

    @property
    def path_variables(self) -> list[str]:
        return _VARIABLE.findall(self.template)

    @property
    def server_streaming(self) -> bool:
        return bool(self.method.server_streaming)

    @property
    def returns_raw_body(self) -> bool:
        """True for google.api.HttpBody: the bytes are the answer, not JSON."""
        return str(self.method.output_type.full_name) == "google.api.HttpBody"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the raw, still escaped path, so that %2F in a table's name does not split it."""
        parts = re.split(r"(\{\w+\})", self.template)
        return re.compile("".join("([^/]+)" if _VARIABLE.fullmatch(part) else re.escape(part) for part in parts))

    def query_fields(self) -> dict[str, FieldDescriptor]:
        """Fields that a caller gives in the query, by name and by camelCase name."""
        if self.body == "*":
            return {}
        taken = {*self.path_variables, self.body}
        fields = [field for field in self.method.input_type.fields if field.name not in taken]
        return {name: field for field in fields for name in (field.camelcase_name, field.name)}

    def path_values(self, match: re.Match[str]) -> dict[str, str]:
        """Unescaped values of the path's variables."""
        return {name: unescaped(name, raw) for name, raw in zip(self.path_variables, match.groups(), strict=True)}


def bindings(service: ServiceDescriptor) -> Iterator[Binding]:
    """Every binding of a service, those with more literal segments first so that they win over variables."""
    found = [binding for method in service.methods for binding in method_bindings(method)]
    return iter(sorted(found, key=lambda binding: (len(binding.path_variables), binding.template)))


def method_bindings(method: MethodDescriptor) -> Iterator[Binding]:
    """The bindings of one RPC; none when REST users do not get it."""
    rule: Any = method.GetOptions().Extensions[annotations_pb2.http]
    for one in (rule, *rule.additional_bindings):
        verb = one.WhichOneof("pattern")
        if verb in _VERBS:
            yield Binding(method, verb.upper(), getattr(one, verb), one.body)


def unescaped(name: str, raw: str) -> str:
    """A percent-escaped piece of a URL as text."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidInput.at(name, "is not UTF-8 text in percent escapes") from None
