"""What a plan did not use of a request, so that an answer to half a question says so."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyairtable_devkit.gemini.planner.words import SYNONYMS, stems

_WORD = re.compile(r"[^\W_]+(?:['’.,:@/-][^\W_]+)*")
# Words that ask, join or are polite: nothing is lost when a plan has no use for them.
_EMPTY = set(
    stems(
        "a an and or the of for in on at by to from with that which who whose whom what when where how many "
        "much is are was were be been being am has have had do does did there their this these those it its "
        "them they i we you us our my me your can could would should will please also as so but then than "
        "all any each every per some yet already still currently now ever here only just exactly altogether "
        "overall list show get give display tell read fetch see find search look up count number sum add "
        "total average mean avg highest largest biggest most more least lowest smallest cheapest expensive "
        "maximum minimum records record rows row entry entries items item table tables base airtable field "
        "fields column columns value values name names named called titled exist existing know current "
        "grouped group sorted sort order whole together across including include worked work works working "
        "spend spent pay cost costs money earned earn booked logged did assigned belong belonging happened "
        "made make into if"
    )
)
# Of these the sense goes with what follows, so they are told with it.
_TELLING = set(stems("over under above below without not never"))


def unused(text: str, used: Iterable[str]) -> list[str]:
    """The stretches of a text whose words are neither empty nor among the words of `used`."""
    known = {stem for part in used for stem in stems(part)}
    known |= {word for word, others in SYNONYMS.items() if known & set(others)}
    stretches: list[str] = []
    open_from = last_end = -1
    for found in _WORD.finditer(text):
        parts = set(stems(found.group()))
        if parts <= _EMPTY and not parts & _TELLING:
            continue
        if parts <= known | _EMPTY:
            open_from = -1
        elif open_from >= 0 and _joined(text[last_end : found.start()]):
            stretches[-1] = text[open_from : found.end()]
        else:
            open_from = found.start()
            stretches.append(found.group())
        last_end = found.end()
    return stretches


def _joined(between: str) -> bool:
    """Whether only a few words stand between two unused ones, and no mark that ends a phrase."""
    return len(between.split()) <= 2 and not re.search(r"[,;.:?!]", between)


def note(stretches: Iterable[str]) -> str:
    """The first line of an answer that leaves something out, or ""."""
    listed = ", ".join(stretches)
    return f"I did not use: {listed}.\n\n" if listed else ""
