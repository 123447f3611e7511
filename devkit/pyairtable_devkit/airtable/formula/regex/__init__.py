"""Regular expressions in RE2's syntax, in time that no pattern can blow up.

Python's `re` backtracks, and a pattern such as `(a|a)*b` stops it for years. So a pattern is parsed here first:
`re` runs it when the worst case is provably small for the text at hand, and a simulation of all alternatives at once
(slower, but linear) when it is not. Look-around and back-references are refused, as RE2 refuses them.
"""

from pyairtable_devkit.airtable.formula.regex.matcher import Match, find_all, find_first

__all__ = ["Match", "find_all", "find_first"]
