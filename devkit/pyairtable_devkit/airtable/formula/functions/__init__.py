"""The functions of the language, one module a subject; importing this package fills FUNCTIONS."""

from pyairtable_devkit.airtable.formula.functions import arrays as arrays
from pyairtable_devkit.airtable.formula.functions import dates as dates
from pyairtable_devkit.airtable.formula.functions import logic as logic
from pyairtable_devkit.airtable.formula.functions import numbers as numbers
from pyairtable_devkit.airtable.formula.functions import records as records
from pyairtable_devkit.airtable.formula.functions import regex as regex
from pyairtable_devkit.airtable.formula.functions import texts as texts
from pyairtable_devkit.airtable.formula.functions import workdays as workdays
from pyairtable_devkit.airtable.formula.registry import FUNCTIONS

__all__ = ["FUNCTIONS"]
