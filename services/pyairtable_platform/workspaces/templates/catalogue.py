"""The templates, as data: templates.yaml beside this file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from pyairtable_platform.common.errors import NotFound, Reason

_FILE = Path(__file__).with_name("templates.yaml")


class NewField(BaseModel):
    """A field to make. `link` is the name of a table of the template that stands before this one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=255)
    type: str = Field(min_length=1)
    description: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    choices: tuple[str, ...] = ()
    """Names of a select field's choices."""
    link: str = ""


class NewTable(BaseModel):
    """A table to make; its first field is the primary one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=255)
    description: str = ""
    fields: tuple[NewField, ...] = Field(min_length=1)


class Template(BaseModel):
    """What a base can be made of. Tables link only to tables before them: each is made with its links, in one call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    description: str
    tables: tuple[NewTable, ...]


@functools.cache
def templates() -> tuple[Template, ...]:
    """All templates, by name."""
    found = [Template.model_validate(item) for item in yaml.safe_load(_FILE.read_text(encoding="utf-8"))]
    return tuple(sorted(found, key=lambda template: template.name))


def template_named(name: str) -> Template:
    """One template; raises NotFound."""
    for template in templates():
        if template.name == name:
            return template
    names = ", ".join(template.name for template in templates())
    raise NotFound(
        f'there is no template "{name}": choose one of {names}', reason=Reason.TEMPLATE_NOT_FOUND, template=name
    )
