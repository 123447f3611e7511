"""How long the emulated Airtable takes: nothing, or times like those that users report.

The realistic profile draws from a log-normal distribution through the median and the 95th percentile
of each kind of call, cut off at the longest time reported (docs/emulator-airtable.md has the table).
"""

import math
import random
from dataclasses import dataclass
from typing import Literal

Effort = Literal["list", "get", "write", "schema", "refusal"]
_P95_IN_SIGMAS = 1.645


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, 95th percentile and longest time of a kind of call, in seconds."""

    median: float
    p95: float
    longest: float


REALISTIC: dict[Effort, Spread] = {
    "list": Spread(0.5, 1.1, 3.0),
    "get": Spread(0.2, 0.5, 2.0),
    "write": Spread(0.6, 1.5, 15.0),
    "schema": Spread(1.0, 5.0, 8.0),
    "refusal": Spread(0.02, 0.03, 0.05),
}


class Latency:
    """Draws times; the same seed gives the same series."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self, profile: str, effort: Effort, scale: float = 1.0) -> float:
        """Seconds that a call of this kind takes under the profile."""
        if profile == "zero":
            return 0.0
        spread = REALISTIC[effort]
        sigma = math.log(spread.p95 / spread.median) / _P95_IN_SIGMAS
        return min(spread.longest, self._random.lognormvariate(math.log(spread.median), sigma)) * scale
