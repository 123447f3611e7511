"""The table of values in charts/pyairtable/README.md, made from values.schema.json and values.yaml.

`write` makes it anew; a test holds what is committed against what this would write.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "charts" / "pyairtable"
BEGIN, END = "<!-- values: made by `make docs` -->\n", "<!-- end of values -->\n"

Schema = dict[str, Any]


def readme() -> str:
    """charts/pyairtable/README.md with the table as it should be."""
    text = (CHART / "README.md").read_text()
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + table() + END + rest.partition(END)[2]


def table() -> str:
    """All values, each with its type, default and meaning."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = ["| Value | Type | Default | What it is |", "|---|---|---|---|"]
    for path, node, default in leaves(schema, schema, values, ""):
        cells = (f"`{path}`", kind(node), shown(default), node["description"].replace("|", "\\|"))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def leaves(root: Schema, node: Schema, values: Mapping[str, Any], path: str) -> Iterator[tuple[str, Schema, Any]]:
    """Every value that has no values of its own, in the order of values.yaml."""
    for name, default in values.items():
        child = resolved(root, resolved(root, node)["properties"][name])
        if name != "resources" and default and "properties" in child:
            yield from leaves(root, child, default, f"{path}{name}.")
        elif name == "services":
            yield from services(child, default)
        else:
            yield f"{path}{name}", child, default


def services(node: Schema, values: Mapping[str, Any]) -> Iterator[tuple[str, Schema, Any]]:
    """The blocks of the services, each in one row: what may stand there is in serviceDefaults."""
    for name, block in values.items():
        ports = f"`{block['httpPort']}` REST, `{block['grpcPort']}` gRPC"
        yield f"services.{name}", {"description": f"{ports}; whatever serviceDefaults has.", "type": "object"}, {}
    yield "services.NAME", {"description": node["description"], "type": "object"}, {}


def resolved(root: Schema, node: Schema) -> Schema:
    """A schema with its reference followed; what stands beside the reference wins."""
    reference = node.get("$ref", "")
    base = root["$defs"][reference.removeprefix("#/$defs/")] if reference else {}
    return {**base, **node}


def kind(node: Schema) -> str:
    """What may stand there, in a word or two."""
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    types = node.get("type", "object")
    return " or ".join([types] if isinstance(types, str) else types)


def shown(default: Any) -> str:
    return f"`{json.dumps(default)}`" if default not in ("", None, {}, []) else "empty"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chore", choices=["write"])
    parser.parse_args()
    (CHART / "README.md").write_text(readme())


if __name__ == "__main__":
    main()
