"""/openapi.json (OpenAPI 3.1) from the contract: routes, schemas, request rules and the protos' own comments."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from pyairtable_platform.common.access import rule_of
from pyairtable_protos import comments_text
from pyairtable_protos.buf.validate import validate_pb2
from pyairtable_protos.common.v1 import access_pb2

from .handler import RpcRoute
from .routes import Binding

_SCALARS: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_INT64: {
        "type": "string",
        "format": "int64",
        "pattern": "^-?[0-9]{1,19}$",
    },  # proto3 JSON: text
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
}
_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}
_SECURITY_SCHEMES = {
    "access_key": {"type": "http", "scheme": "bearer", "description": "pya_...: a workspace's. pyu_...: a person's"},
    "access_token": {"type": "http", "scheme": "bearer", "description": "A person's, from POST /auth/login"},
    "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "API_KEY of the installation"},
}
_SECURITY: dict[int, list[dict[str, list[str]]]] = {
    access_pb2.CALLER_PUBLIC: [{}],
    access_pb2.CALLER_PEER: [{"api_key": []}],
    access_pb2.CALLER_WORKSPACE: [{"access_key": []}, {"access_token": []}, {"api_key": []}],
    access_pb2.CALLER_KNOWN: [{"access_key": []}, {"access_token": []}, {"api_key": []}],
    access_pb2.CALLER_PERSON: [{"access_token": []}],
    access_pb2.CALLER_ADMIN: [{"access_token": []}, {"api_key": []}],
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"type": "string"},
        "request_id": {"type": "string"},
    },
}


def document(title: str, version: str, routes: Iterable[RpcRoute]) -> dict[str, Any]:
    """The whole document for a set of routes."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for route in routes:
        paths.setdefault(route.path, {})[route.binding.verb.lower()] = operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY_SCHEMES},
    }


def operation(route: RpcRoute, schemas: dict[str, Any]) -> dict[str, Any]:
    """One route."""
    binding = route.binding
    comment = comments().get(str(binding.method.full_name), "")
    described: dict[str, Any] = {
        "operationId": f"{binding.method.name}_{binding.verb}_{binding.template}",
        "tags": [binding.method.containing_service.name],
        "summary": comment.split(". ")[0].rstrip("."),
        "description": comment,
        "parameters": parameters(binding, schemas),
        "responses": responses(binding, schemas),
        "security": _SECURITY[rule_of(str(binding.method.full_name))],
    }
    if binding.body:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body_schema(binding, schemas)}},
        }
    return described


def parameters(binding: Binding, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """Path variables and query parameters."""
    fields = binding.method.input_type.fields_by_name
    path = [
        {"name": name, "in": "path", "required": True, **described(fields[name], schemas)}
        for name in binding.path_variables
    ]
    query = []
    for name, field in binding.query_fields().items():
        if name != field.name:
            continue
        kind = described(field, schemas)
        if field.message_type is not None:
            kind = {
                "description": kind.get("description", ""),
                "content": {"application/json": {"schema": kind["schema"]}},
            }
            if field.is_repeated:
                kind["content"]["application/json"]["schema"] = kind["content"]["application/json"]["schema"]["items"]
        query.append({"name": name, "in": "query", "required": False, **kind})
    return path + query


def described(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """Schema and comment of a parameter."""
    return {"schema": field_schema(field, schemas), "description": comments().get(str(field.full_name), "")}


def body_schema(binding: Binding, schemas: dict[str, Any]) -> dict[str, Any]:
    """The body: the message without what the path says, or the one field that is the body."""
    message = binding.method.input_type
    if binding.body != "*":
        inner = message.fields_by_name[binding.body].message_type
        assert inner is not None, f"body field {binding.body} of {message.full_name} is no message"
        return reference(inner, schemas)
    return object_schema(message, schemas, leave_out=frozenset(binding.path_variables))


def responses(binding: Binding, schemas: dict[str, Any]) -> dict[str, Any]:
    """Success, and problem details for everything else."""
    problem = {
        "description": "Problem details (RFC 9457); `reason` is stable",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if binding.returns_raw_body:
        success: dict[str, Any] = {"description": "The bytes", "content": {"text/csv": {"schema": {"type": "string"}}}}
    elif binding.server_streaming:
        success = {
            "description": "Server-sent events",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    else:
        schema = reference(binding.method.output_type, schemas)
        success = {"description": "The answer", "content": {"application/json": {"schema": schema}}}
    return {"200": success, "default": problem}


def reference(message: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a message's schema, which is added on first use."""
    name = str(message.full_name)
    if name in _WELL_KNOWN:
        return _WELL_KNOWN[name]
    if name not in schemas:
        schemas[name] = {}  # so that a message may hold itself
        schemas[name] = object_schema(message, schemas)
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(
    message: Descriptor, schemas: dict[str, Any], leave_out: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A message as a JSON object."""
    fields = [field for field in message.fields if field.name not in leave_out]
    schema: dict[str, Any] = {
        "type": "object",
        "description": comments().get(str(message.full_name), ""),
        "properties": {field.name: property_schema(field, schemas) for field in fields},
        "additionalProperties": False,
    }
    required = [field.name for field in fields if is_required(field)]
    return schema | ({"required": required} if required else {})


def property_schema(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = field_schema(field, schemas)
    comment = comments().get(str(field.full_name))
    return {**schema, "description": comment} if comment else schema


def field_schema(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a field with its rules."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": single_schema(kind.fields_by_name["value"], schemas)}
    single = single_schema(field, schemas)
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.is_repeated:
        return {"type": "array", "items": single, **renamed(rules.repeated, min_items="minItems", max_items="maxItems")}
    text = renamed(rules.string, min_len="minLength", max_len="maxLength", pattern="pattern")
    numbers = renamed(rules.int32, gte="minimum", lte="maximum")
    choices = {"enum": list(getattr(rules.string, "in"))} if getattr(rules.string, "in") else {}
    return {**single, **text, **numbers, **choices}


def single_schema(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        return dict(reference(field.message_type, schemas))
    if field.enum_type is not None:
        return enum_schema(field.enum_type)
    return dict(_SCALARS[field.type])


def enum_schema(enum: EnumDescriptor) -> dict[str, Any]:
    return {"type": "string", "enum": [value.name for value in enum.values]}


def renamed(rules: Any, **names: str) -> dict[str, Any]:
    """Rules that are set, under their JSON Schema names."""
    return {schema: getattr(rules, rule) for rule, schema in names.items() if rules.HasField(rule)}


def is_required(field: FieldDescriptor) -> bool:
    """True when leaving the field out breaks a rule."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.required or rules.string.min_len or rules.repeated.min_items or rules.bytes.min_len)


@functools.cache
def comments() -> dict[str, str]:
    """The protos' comments by full name, as `make protos` wrote them beside the generated code."""
    return dict(json.loads(comments_text()))
