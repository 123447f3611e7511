"""Raw results: one file a day with the newest figures of every section, each with what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

Results = dict[str, Any]
"""{"sections": {name: {"measured": machine.describe() and load_average, "figures": as the section tells}}}"""


def newest(folder: Path) -> Results:
    """The results of the last run; none when there was none."""
    files = sorted(folder.glob("results-*.json"))
    return dict(orjson.loads(files[-1].read_bytes())) if files else {"sections": {}}


def merged(before: Results, measured: Mapping[str, Any]) -> Results:
    """Results with the sections that were measured anew; those that were not keep their figures and their date."""
    return {"sections": {**before["sections"], **measured}}


def write(folder: Path, results: Results) -> str:
    """Write the file of today; its name."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"results-{datetime.now(UTC):%Y-%m-%d}.json"
    (folder / name).write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))
    return name
