"""Pages made from code: docs/configuration.md (from the settings classes) and the table of docs/errors.md.

`write` makes them anew; a test holds what is committed against what this would write.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pyairtable_operator.settings import Settings as OperatorSettings
from pyairtable_platform.cli import ServiceName
from pyairtable_platform.common.settings import ServiceSettings
from pyairtable_protos import comments_text

DOCS = Path(__file__).resolve().parent.parent / "docs"

CONFIGURATION_HEAD = """# Configuration

Every process reads its settings once, at start, from the environment. A wrong value ends the process with one sentence
that names the variable. Secrets never show in logs or errors. This page is made from the settings classes by
`make docs`, and a test compares the two.

In `development` without `API_KEY`, whoever reaches a process over loopback may use every workspace of it; others show a
credential. `ENVIRONMENT=production` is never open: it needs `API_KEY` and `AUTH_TARGET`, and `auth` a `JWT_SECRET`.
[access.md](access.md) says who may call what.
"""

ERRORS_HEAD = """# Errors

Every failed call carries a *reason* that never changes its meaning: over gRPC in `google.rpc.ErrorInfo` (domain
`pyairtable.dev`, with `RetryInfo` for waits and `BadRequest` for fields), over REST as `reason` in
`application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), in MCP in the error result's text. The
message names the thing and what helps; `request_id` finds the call in the logs of every service.

```json
{"type": "https://pyairtable.dev/errors/table-not-found", "title": "Table not found", "status": 404,
 "detail": "base \\"crm\\" has no table \\"Projekts\\": did you mean \\"Projects\\"?", "reason": "TABLE_NOT_FOUND",
 "request_id": "5ea65eb94966404da03629f7ffaf3e33", "metadata": {"base": "crm", "table": "Projekts"}}
```

HTTP statuses follow from the gRPC ones: NOT_FOUND 404, INVALID_ARGUMENT 400 (413 when too large), UNAUTHENTICATED 401,
PERMISSION_DENIED 403, FAILED_PRECONDITION and ABORTED 409, RESOURCE_EXHAUSTED 429, UNAVAILABLE 503, DEADLINE_EXCEEDED
504, UNKNOWN 502, CANCELLED 499, INTERNAL 500. The table is made from the contract by `make docs`.

| Reason | Meaning and remedy |
|---|---|
"""


def configuration() -> str:
    """docs/configuration.md."""
    from pyairtable_platform.mcp_server.settings import Settings, StdioSettings

    common = ServiceSettings.model_fields
    parts = [CONFIGURATION_HEAD, "## Every service\n", table(common)]
    for service in ServiceName:
        cls = importlib.import_module(f"pyairtable_platform.{service.name}.settings").Settings
        own = {name: field for name, field in cls.model_fields.items() if is_own(name, field, common)}
        parts += [f"## {service.value}\n", table(own)]
    stdio = {name: field for name, field in StdioSettings.model_fields.items() if name not in Settings.model_fields}
    parts += ["## mcp-stdio\n\nBeside those of mcp-server:\n", table(stdio)]
    parts += ["## pyairtable-operator\n", table(OperatorSettings.model_fields)]
    return "\n".join(parts)


def is_own(name: str, field: FieldInfo, common: dict[str, FieldInfo]) -> bool:
    """True for what a service adds to the common settings, or gives another default."""
    return name not in common or field.default != common[name].default


def table(fields: dict[str, FieldInfo]) -> str:
    """A Markdown table of settings."""
    rows = ["| Variable | Values | Default | What it does |", "|---|---|---|---|"]
    for name, field in fields.items():
        text = field.description or ServiceSettings.model_fields[name].description
        assert text, f"{name.upper()} has no docstring"
        description = " ".join(text.split()).replace("|", "\\|")
        rows.append(f"| `{name.upper()}` | {kind(field.annotation)} | {default(field)} | {description} |")
    return "\n".join(rows) + "\n"


def kind(annotation: Any) -> str:
    """What may stand there, in words."""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(kind(arm) for arm in get_args(annotation) if arm is not type(None))
    if get_origin(annotation) is tuple:
        return "comma-separated list"
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Path: "path",
        SecretStr: "secret",
    }
    return names.get(annotation, getattr(annotation, "__name__", "text"))


def default(field: FieldInfo) -> str:
    """The default, secrets never."""
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else "empty"
    if field.annotation is SecretStr or isinstance(field.default, SecretStr):
        shown = field.default.get_secret_value()
        return f"`{shown}`" if shown.startswith("redis://127.") else "empty"
    if field.default is None or field.default in ("", ()):
        return "empty"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def errors() -> str:
    """docs/errors.md."""
    return ERRORS_HEAD + "".join(f"| `{name}` | {text} |\n" for name, text in reasons())


def reasons() -> Iterator[tuple[str, str]]:
    """Every reason and what the contract says of it, in the contract's order."""
    from pyairtable_protos.common.v1.error_reason_pb2 import ErrorReason

    comments = json.loads(comments_text())
    for name in ErrorReason.DESCRIPTOR.values_by_name:
        if not name.endswith("UNSPECIFIED"):
            yield name.removeprefix("ERROR_REASON_"), comments[f"pyairtable.common.v1.ErrorReason.{name}"]


PAGES = {"configuration.md": configuration, "errors.md": errors}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chore", choices=["write"])
    parser.parse_args()
    for name, make in PAGES.items():
        (DOCS / name).write_text(make())


if __name__ == "__main__":
    main()
