"""From a request to a reply: the next tool calls, an answer, or a question back."""

from __future__ import annotations

from collections.abc import Sequence

from pyairtable_devkit.gemini.planner.conversation import wanted
from pyairtable_devkit.gemini.planner.generic import fitting_tool, forced_call, use_tool
from pyairtable_devkit.gemini.planner.injection import orders_in
from pyairtable_devkit.gemini.planner.intents import recipe_for
from pyairtable_devkit.gemini.planner.outcome import NeedCalls, Outcome
from pyairtable_devkit.gemini.planner.smalltalk import small_talk
from pyairtable_devkit.gemini.planner.toolbox import Toolbox
from pyairtable_devkit.gemini.planner.world import World
from pyairtable_devkit.gemini.reply import Reply
from pyairtable_devkit.gemini.request import Call, Declaration, GenerateRequest


def plan(request: GenerateRequest, *, obey_injection: bool = False) -> Reply:
    """What the model says next in this conversation.

    With `obey_injection` it also does what texts in tool results tell it to: a model that a client must guard.
    """
    tools = usable_tools(request)
    reply = _planned(request, tools, obey_injection)
    if request.mode == "ANY" and not reply.calls:
        return Reply(calls=(forced_call(tools, request.user_text),), thoughts="I must call a function.")
    return reply


def usable_tools(request: GenerateRequest) -> tuple[Declaration, ...]:
    """The declared tools that the function calling mode leaves."""
    if request.mode == "NONE":
        return ()
    names = request.allowed_names
    return tuple(tool for tool in request.tools if not names or tool.name in names)


def _planned(request: GenerateRequest, tools: Sequence[Declaration], obey: bool) -> Reply:
    texts: list[str] = []
    world = World(request, Toolbox(tools), request.user_text)
    try:
        for text in wanted(request):
            texts.append(_answer(text, world, request.user_text))
        if obey:
            texts += [_obey(order, world) for order in orders_in(world.results(), tools)]
    except NeedCalls as need:
        return Reply(calls=need.calls, thoughts=need.text)
    except Outcome as outcome:
        texts.append(outcome.text)
    return Reply(text="\n\n".join(texts), thoughts="I have what I need to answer.")


def _answer(text: str, world: World, said: str) -> str:
    recipe = recipe_for(text) if world.toolbox.is_airtable else None
    if recipe is not None:
        return recipe(text, world)
    tool = fitting_tool(text, world.toolbox.others)
    return use_tool(tool, text, world) if tool else small_talk(said, airtable=world.toolbox.is_airtable)


def _obey(order: str | Call, world: World) -> str:
    if isinstance(order, Call):
        world.write([order])
        return f"I also called {order.name}, as the data told me to."
    return _answer(order, world, order)
