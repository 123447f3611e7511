"""Prompts: starting points that people ask for again and again."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_types import (
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason

from .calls import RequestContext, protocol_errors

_BASE = PromptArgument(name="base_id", description="Id or bound name of the base; empty is the default base")
_TABLE = PromptArgument(name="table_id", description="Id or name of the table", required=True)


@dataclass(frozen=True)
class Template:
    """A prompt and its text, with the arguments in braces."""

    name: str
    title: str
    description: str
    arguments: tuple[PromptArgument, ...]
    text: str


TEMPLATES = (
    Template(
        name="describe_base",
        title="Describe a base",
        description="What a base is for, how its tables belong together, and what could be improved",
        arguments=(_BASE,),
        text="Describe the Airtable base {base_id}. List its tables with list_tables, look at the fields of each with "
        "get_field_info, and tell what the base is for, how its tables are linked, and what you would improve. "
        "Change nothing.",
    ),
    Template(
        name="clean_up_duplicates",
        title="Clean up duplicates",
        description="Find records that are there twice and merge them after asking",
        arguments=(_TABLE, _BASE),
        text="Look for duplicates in the table {table_id} of the Airtable base {base_id}. Choose the fields that tell "
        "records apart with get_field_info, run find_duplicates, and show each group with its merge proposal and "
        "conflicts. Ask before you write. Then fill the kept record with update_record and remove the others with "
        "delete_record.",
    ),
)


async def list_prompts(request: RequestContext, params: PaginatedRequestParams | None) -> ListPromptsResult:
    prompts = [
        Prompt(
            name=template.name,
            title=template.title,
            description=template.description,
            arguments=list(template.arguments),
        )
        for template in TEMPLATES
    ]
    return ListPromptsResult(prompts=prompts)


async def get_prompt(request: RequestContext, params: GetPromptRequestParams) -> GetPromptResult:
    with protocol_errors(prompt=params.name):
        template = find_template(params.name)
        text = fill(template, params.arguments or {})
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=template.description, messages=[message])


def find_template(name: str) -> Template:
    for template in TEMPLATES:
        if template.name == name:
            return template
    known = ", ".join(template.name for template in TEMPLATES)
    raise NotFound(f"there is no prompt {name!r}; there are: {known}", reason=Reason.ROUTE_NOT_FOUND)


def fill(template: Template, given: dict[str, str]) -> str:
    """The text with its arguments; raises InvalidInput for one that is missing or not known."""
    known = {argument.name: argument for argument in template.arguments}
    for name in given:
        if name not in known:
            raise InvalidInput.at(name, f"is not an argument of {template.name}; it takes: {', '.join(known)}")
    values = {name: given.get(name, "").strip() for name in known}
    for name, argument in known.items():
        if argument.required and not values[name]:
            raise InvalidInput.at(name, "is needed")
    values["base_id"] = values["base_id"] or "that is the default one"
    return template.text.format_map(values)
