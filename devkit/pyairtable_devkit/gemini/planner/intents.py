"""Which recipe a request is for: the first pattern that fits, the special before the general."""

from __future__ import annotations

import re
from collections.abc import Callable

from pyairtable_devkit.gemini.planner import chores, reading, totals, writing
from pyairtable_devkit.gemini.planner.smalltalk import SMALL_TALK, small_talk
from pyairtable_devkit.gemini.planner.words import without_quoted
from pyairtable_devkit.gemini.planner.world import World

Recipe = Callable[[str, World], str]

_ASKS = r"\b(?:list|show|which|what|see|all|my|many|are there|get|give)\b"
_UNITS = r"(?:hours?|minutes?|days?|money|euros?|dollars?|quantity|units?|budget|revenue|cost|time)"
_EXTREMES = r"(?:average|mean|avg|highest|lowest|largest|smallest|biggest|cheapest|most expensive|maximum|minimum)"
_CHANGES = r"^(?:set|change|update|mark|rename|move|assign|complete|close|finish|edit|put|flag)\b"
_SHOWS = r"^(?:list|show|get|display|give|read|fetch|open)\b"
_QUESTIONS = r"^(?:what|which|who|where|when|tell)\b"


def _for(recipe: Recipe, *patterns: str) -> list[tuple[re.Pattern[str], Recipe]]:
    return [(re.compile(pattern, re.IGNORECASE), recipe) for pattern in patterns]


INTENTS: list[tuple[re.Pattern[str], Recipe]] = [
    *_for(lambda text, world: small_talk(text, airtable=world.toolbox.is_airtable), SMALL_TALK),
    *_for(
        chores.metadata_table,
        r"\bmetadata\b",
        r"^create a table (?:that|which) (?:describes|documents|lists)",
        r"\bdescrib\w+ (?:all|every)\b.*\btables?\b",
    ),
    *_for(writing.create_records, r"^(?:create|add|insert|make|register|enter|new)\b"),
    *_for(writing.delete_record, r"^(?:delete|remove|erase|drop)\b"),
    *_for(writing.update_record, _CHANGES),
    *_for(chores.sync_tables, r"\bsync(?:hroni[sz]e)?\b"),
    *_for(chores.find_duplicates, r"\bduplicates?\b", r"\bdedup"),
    *_for(chores.export_table, r"\bexport\b", r"\bcsv\b"),
    *_for(
        chores.analyze_table,
        r"\banaly[sz]e\b",
        r"\banalysis\b",
        r"\bdata quality\b",
        r"\brecommend",
        r"\bimprovements?\b",
    ),
    *_for(reading.list_bases, rf"{_ASKS}.*\bbases\b"),
    *_for(reading.list_tables, rf"{_ASKS}.*\btables\b(?! with| where)"),
    *_for(reading.describe_table, r"\b(?:fields?|columns?|schema|structure|choices|options)\b", r"\bdescribe\b"),
    *_for(
        totals.total,
        r"\bhow much\b",
        r"\b(?:spend|spent|earn|earned)\b",
        rf"\bhow many (?:\w+ )?{_UNITS}\b(?! (?:records|entries|rows))",
        r"\b(?:sum|totals?|add up)\b",
        rf"\b{_EXTREMES}\b",
        r"^which \w+ .*\b(?:most|least)\b",
    ),
    *_for(reading.look_up, r"^what(?:'s| is| are| was)\b.*\bof\b"),
    *_for(reading.count_records, r"\bhow many\b", r"\bnumber of\b", r"\bcount\b"),
    *_for(
        reading.search_records,
        r"^(?:find|search|look (?:up|for))\b",
        r"\b(?:named|called|containing|mentioning)\b",
    ),
    *_for(reading.answer_question, _QUESTIONS),
    *_for(reading.show_records, _SHOWS, r"\brec[A-Za-z0-9]{14}\b"),
]


def recipe_for(text: str) -> Recipe | None:
    """The recipe for a request, or None when it asks for nothing the planner knows."""
    plain = without_quoted(text)
    return next((recipe for pattern, recipe in INTENTS if pattern.search(plain)), None)
